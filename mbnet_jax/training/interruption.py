"""SIGTERM (a pre-emption) and Ctrl-C: the current step is finished and saved first."""

import os
import signal
import threading

import jax

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class InterruptedTraining(Exception):
    """A signal ended training, after everything done so far was saved.

    `exit_code` is what a shell reports of a program that the signal ended.
    """

    def __init__(self, number: int, message: str):
        """Takes the signal's number."""
        super().__init__(message)
        self.exit_code = 128 + number


class LeftEvaluation(Exception):
    """A signal ended an evaluation, which is repeated when the run is resumed."""


class Interruption:
    """Remembers a signal until the loop checks; a second Ctrl-C exits at once.

    To be used in a `with` statement. Signals act as usual until `requested` is first
    called: before the end of the first step there is nothing to save, and while it
    compiles Python would not receive them.
    """

    def __init__(self):
        """Installs nothing yet."""
        self.number: int | None = None  # of the signal
        self._previous: dict[int, object] = {}

    def __enter__(self) -> "Interruption":
        """Returns the interruption itself."""
        return self

    def __exit__(self, *_) -> None:
        """Restores the previous handlers."""
        for number, handler in self._previous.items():
            # None if the handler was not installed from Python.
            signal.signal(number, handler or signal.SIG_DFL)

    def requested(self) -> bool:
        """Whether a signal was received."""
        in_main = threading.current_thread() is threading.main_thread()
        if not self._previous and in_main:  # no other thread may install handlers
            self._previous = {n: signal.signal(n, self._note) for n in SIGNALS}
        return self.number is not None

    def leave_evaluation(self) -> None:
        """Ends the evaluation that calls this, if a signal was received.

        With several processes the evaluation is finished, since they could not agree
        on where to leave it.

        Raises:
          LeftEvaluation: to be caught where the evaluation began.
        """
        if self.number is not None and jax.process_count() == 1:
            raise LeftEvaluation

    def _note(self, number: int, _) -> None:
        self.number = number
        message = f"\n{signal.Signals(number).name}: finishing this step and saving"
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            message += "; press Ctrl-C again to exit at once"
        # print must not be called while print itself is interrupted.
        os.write(2, f"{message}\n".encode())
