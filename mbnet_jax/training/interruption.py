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
    compiles Python would not receive them. A Ctrl-C that gets lost there, because it
    is raised where Python ignores exceptions, counts after the first step.
    """

    def __init__(self):
        """Installs nothing yet."""
        self.number: int | None = None  # of the signal
        self._saves = False  # whether a signal waits for the end of a step
        self._previous: dict[int, object] = {}

    def __enter__(self) -> "Interruption":
        """Returns the interruption itself."""
        usual = signal.getsignal(signal.SIGINT)
        if _in_main_thread() and callable(usual):

            def note(number: int, frame) -> None:
                self.number = number
                usual(number, frame)

            self._previous[signal.SIGINT] = signal.signal(signal.SIGINT, note)
        return self

    def __exit__(self, *_) -> None:
        """Restores the previous handlers."""
        for number, handler in self._previous.items():
            # None if the handler was not installed from Python.
            signal.signal(number, handler or signal.SIG_DFL)

    def requested(self) -> bool:
        """Whether a signal was received."""
        if not self._saves and _in_main_thread():
            self._saves = True
            for number in SIGNALS:
                usual = signal.signal(number, self._note)
                self._previous.setdefault(number, usual)
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


def _in_main_thread() -> bool:
    """No other thread may install handlers."""
    return threading.current_thread() is threading.main_thread()
