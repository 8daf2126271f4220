"""What commands show while they work: on a terminal, and elsewhere."""

import io
import os
import pty
import re
import sys
import termios
import time

import pytest

from mbnet_jax.progress import (
    announced,
    bar,
    progress,
    rate,
    screen,
    shows_bold,
    status,
    stream,
    width_of,
    write,
)


class Clock:
    """A clock that is set by hand."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def make_bar(clock, **more):
    options = {"total": 1000, "doing": "parsing", "unit": "map"} | more
    return bar.Bar(**options, clock=clock)


def step(clock, shown, count, seconds=1.0):
    for _ in range(count):
        clock.now += seconds
        shown.update(1)


def test_the_rate_does_not_jump_after_a_pause(clock):
    shown = make_bar(clock, each=(64, "image"))
    assert shown.speed_and_left() == []
    step(clock, shown, 50)
    assert shown.speed() == 64
    with shown.rate.paused():
        clock.now += 500
        with shown.rate.paused():  # as an embedding's own bar in a validation
            clock.now += 500
        clock.now += 500
    assert shown.speed() == 64
    step(clock, shown, 1)
    assert shown.speed() == 64
    step(clock, shown, 9)
    assert shown.speed() == 64
    assert shown.speed_and_left() == ["64 images/s", "15:40 left"]


def test_the_rate_is_that_of_the_last_half_minute(clock):
    shown = make_bar(clock)
    step(clock, shown, 100, seconds=0.1)
    assert shown.speed() == pytest.approx(10)
    step(clock, shown, 2, seconds=1.0)  # it moves slowly
    assert 8 < shown.speed() < 10
    step(clock, shown, 60, seconds=1.0)
    assert shown.speed() == pytest.approx(1)
    step(clock, shown, 20, seconds=50.0)  # a window has at least four counts
    assert shown.speed() == pytest.approx(0.02)
    assert shown.speed_and_left()[1] == "11:21:40 left"


def test_counts_that_come_fast_do_not_fill_memory(clock):
    found = rate.Rate(clock)
    for done in range(50_000):
        clock.now += 0.001
        found.note(done)
    assert found.value == pytest.approx(1000, rel=0.01)
    assert len(found._counts) < 500


def test_work_that_was_done_before_counts_for_the_total_alone(clock):
    shown = make_bar(clock, initial=900)
    step(clock, shown, 50)
    assert shown.speed_and_left() == ["1.0 maps/s", "0:50 left"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (34, "34 s"), (99.4, "99 s"), (125, "2:05 min"), (11100, "3:05 h")],
)
def test_durations(seconds, text):
    assert rate.duration(seconds) == text


@pytest.mark.parametrize(
    ("width", "text"),
    [
        (79, r"step 100/1000 [━╌]+ 64 images/s, 15:00 left, loss 3.20, mAP 31.2"),
        (59, r"step 100/1000 [━╌]+ 64 images/s, 15:00 left, loss 3.20"),
        (36, r"step 100/1000 [━╌]+ 64 images/s"),
        (13, r"step 100/1000"),
        (5, r"step "),
    ],
)
def test_a_line_leaves_out_what_has_no_room(clock, width, text):
    shown = make_bar(clock, unit="step", each=(64, "image"), plain=False)
    step(clock, shown, 100)
    shown.show("loss 3.20", "mAP 31.2")
    line = shown.rendered(width).plain
    assert re.fullmatch(text, line), line
    assert len(line) <= width


def test_a_line_needs_no_unicode(clock):
    shown = make_bar(clock)
    step(clock, shown, 500)
    assert shown.rendered(79, ascii_only=True).plain.isascii()
    assert shown.rendered(99).plain.count("━") == 20  # of 40


def test_a_pipe_has_a_line_now_and_then_and_no_control_characters(capsys, clock):
    with make_bar(clock) as shown:
        step(clock, shown, 1000)
    text = capsys.readouterr().err
    lines = text.splitlines()
    assert lines[0] == "parsing 10/1,000 maps, 1.0 maps/s, 16:30 left"
    assert [int(line.split()[1].split("/")[0]) for line in lines[:7]] == [
        *range(10, 70, 10),
        120,
    ]
    assert lines[-1] == "parsing: 1,000 maps in 16:40 min"
    assert not re.search(r"[^\x20-\x7e\n]", text)


def test_what_is_over_at_once_or_fails_leaves_no_line(capsys, clock):
    with progress(3, "checking", unit="image") as shown:
        shown.update(3)
    with pytest.raises(ValueError, match="damaged"), make_bar(clock) as shown:
        step(clock, shown, 5)
        raise ValueError("damaged")
    assert not capsys.readouterr().err
    assert not screen.SCREEN._open and not screen.SCREEN.is_live


def test_compiling_is_said_once_with_its_time(capsys, monkeypatch):
    for module in (bar, screen):
        monkeypatch.setattr(module, "DELAY", 0.01)
    calls = []

    def program(size):
        calls.append(size)
        time.sleep(0.05)
        return size + 1

    call = announced(program, lambda size: f"the embedding of {size} images")
    assert [call(size) for size in (64, 64, 8, 64)] == [65, 65, 9, 65]
    assert calls == [64, 64, 8, 64]
    assert capsys.readouterr().err.splitlines() == [
        "compiling the embedding of 64 images ...",
        "compiling the embedding of 64 images ... 0 s",
        "compiling the embedding of 8 images ...",
        "compiling the embedding of 8 images ... 0 s",
    ]


def test_other_processes_show_nothing(capsys, monkeypatch, clock):
    monkeypatch.setattr(bar, "is_other_process", lambda: True)
    monkeypatch.setattr(bar, "DELAY", 0.0)
    with make_bar(clock, total=50) as shown:
        step(clock, shown, 50)
    with status("compiling"):
        time.sleep(0.05)
    assert not capsys.readouterr().err


class Terminal:
    """A pseudo-terminal of 80 columns as stderr and stdout; keeps what is shown."""

    def __init__(self, monkeypatch):
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (24, 80))
        self.file = os.fdopen(slave, "w")
        for name in ("COLUMNS", "LINES", "JPY_PARENT_PID", "NO_COLOR"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("TERM", "xterm")
        self._patch = monkeypatch

    def use(self):
        """To be called in a test's body: pytest sets both before it."""
        for name in ("stdout", "stderr"):
            self._patch.setattr(sys, name, self.file)

    def shown(self):
        self.file.flush()
        os.set_blocking(self._master, False)
        data = b""
        try:
            while part := os.read(self._master, 1 << 16):
                data += part
        except BlockingIOError:
            return data.decode()


@pytest.fixture
def terminal(monkeypatch):
    made = Terminal(monkeypatch)
    yield made
    made.file.close()
    os.close(made._master)


def test_a_terminal_has_one_line_that_is_gone_at_the_end(terminal, monkeypatch):
    monkeypatch.setattr(screen, "DELAY", 0.0)
    monkeypatch.setattr(screen, "_REFRESHES", 50)
    terminal.use()
    before = sys.stdout
    with progress(8, "parsing", unit="map", leave=False) as shown:
        shown.update(4)
        time.sleep(0.1)
        shown.write("a path " + "x" * 100)
        with status("compiling the training step"):
            time.sleep(0.1)
        print("printed")
        shown.update(4)
    text = terminal.shown()
    assert sys.stdout is before
    assert "parsing 4/8 maps \x1b[32m━" in text
    assert "compiling the training step ... 0 s" in text
    # Above the line, and long ones in one piece.
    assert "x" * 100 in text and "\x1b[2Kprinted" in text.replace("\r", "")
    assert "\x1b[?25l" not in text  # a hidden cursor would outlive a kill
    assert text.endswith("\x1b[2K")  # the line is empty again
    assert max(map(len, re.sub(r"\x1b\[\S*?[mAK]", "", text).split("\r"))) <= 110


def test_a_terminal_is_left_clean_after_an_error(terminal, monkeypatch):
    monkeypatch.setattr(screen, "DELAY", 0.0)
    terminal.use()
    before = sys.stderr
    with pytest.raises(KeyboardInterrupt), progress(8, "parsing", unit="map"):
        raise KeyboardInterrupt
    assert terminal.shown().endswith("\x1b[2K") and sys.stderr is before
    assert not screen.SCREEN.is_live


@pytest.mark.parametrize(
    ("name", "value", "bold", "live"),
    [
        ("TERM", "xterm", True, True),
        ("NO_COLOR", "1", False, True),
        ("TERM", "dumb", False, False),
        ("TERM", "", False, False),
        ("JPY_PARENT_PID", "7", False, False),  # a notebook's command
    ],
)
def test_which_terminals_can_be_written_over(
    terminal, monkeypatch, name, value, bold, live
):
    terminal.use()
    monkeypatch.setenv(name, value)
    assert shows_bold(sys.stdout) == bold
    assert stream.is_plain(sys.stderr) != live
    with progress(8, "parsing", unit="map"):
        assert screen.SCREEN.is_live == live


def test_widths(terminal, monkeypatch):
    terminal.use()
    assert width_of(io.StringIO()) == 80 == width_of(sys.stdout)
    monkeypatch.setenv("COLUMNS", "120")
    assert width_of(io.StringIO()) == 80 and width_of(sys.stdout) == 120


def test_without_stderr_nothing_is_shown(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    with progress(8, "parsing", unit="map") as shown:
        shown.update(8)
        write("text", sys.stderr)
