"""Runs suites of Python's own tests, each in a process of its own, and says how every test ended.

usage: python_tests.py JOBS SECONDS SUITE[=PATTERN[,PATTERN...]]...

Each line of standard output has its fields separated by tabs: `test`, suite, test, outcome, seconds; or `suite`, suite,
exit status or `timeout`, seconds. What the suites say goes to standard error.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time

RESOURCES = "cpu,subprocess,decimal"


class Recorder:
    """Writes a line when a test starts and one when it ends, so that a crash or a hang shows where it happened."""

    def __init__(self, path):
        self.out = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.pid = os.getpid()
        self.outcome = None
        self.started = 0.0

    def say(self, *fields):
        # A child that a test forked may run on into the runner's code.
        if os.getpid() == self.pid:
            os.write(self.out, ("\t".join(fields) + "\n").encode("utf-8", "backslashreplace"))

    def start(self, test):
        self.outcome = None
        self.started = time.monotonic()
        self.say("start", test.id())

    def mark(self, test, outcome, detail=None):
        order = ["ok", "skipped", "failed"]
        known = order.index(self.outcome) if self.outcome else 0
        self.outcome = order[max(known, order.index(outcome))]
        if detail and os.getpid() == self.pid:
            print(f"--- {test.id()}: {outcome}\n{detail}", file=sys.stderr, flush=True)
        if not hasattr(test, "_testMethodName"):
            # A fixture of a class or of a module: the tests that it served are missing.
            self.say("stop", test.id(), outcome, "0")

    def stop(self, test):
        self.say("stop", test.id(), self.outcome or "failed", f"{time.monotonic() - self.started:.3f}")


def observe(recorder):
    """Has the recorder told of what Python's runner of regression tests sees."""
    from test.support.testresult import RegressionTestResult as Result

    def before(name, tell):
        known = getattr(Result, name)

        def method(self, test, *rest):
            tell(self, test, *rest)
            return known(self, test, *rest)

        setattr(Result, name, method)

    def failed(result, test, error):
        recorder.mark(test, "failed", result._exc_info_to_string(error, test))

    def subtest(result, test, _subtest, error):
        if error is not None:
            failed(result, test, error)

    before("startTest", lambda _, test: recorder.start(test))
    before("stopTest", lambda _, test: recorder.stop(test))
    before("addSuccess", lambda _, test: recorder.mark(test, "ok"))
    before("addExpectedFailure", lambda _, test, error: recorder.mark(test, "ok"))
    before("addUnexpectedSuccess", lambda _, test: recorder.mark(test, "failed", "unexpected success"))
    before("addSkip", lambda _, test, reason: recorder.mark(test, "skipped"))
    before("addError", failed)
    before("addFailure", failed)
    before("addSubTest", subtest)


def run_one(suite, patterns, path):
    observe(Recorder(path))
    matches = [word for pattern in patterns for word in ("-m", pattern)]
    sys.argv = ["regrtest", "-u", RESOURCES, *matches, suite]
    from test.libregrtest import main

    main()


class Suite:
    def __init__(self, words, seconds):
        self.name, _, patterns = words.partition("=")
        self.results = tempfile.NamedTemporaryFile(prefix="results-", dir="/tmp")
        self.started = time.monotonic()
        self.deadline = self.started + seconds
        command = [sys.executable, __file__, "--one", self.name, patterns, self.results.name]
        self.child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=sys.stderr, stderr=sys.stderr, start_new_session=True
        )

    def has_ended(self):
        if self.child.poll() is not None:
            return True
        if time.monotonic() < self.deadline:
            return False
        # SIGABRT has faulthandler say where every thread is.
        self.child.send_signal(signal.SIGABRT)
        try:
            self.child.wait(5)
        except subprocess.TimeoutExpired:
            pass
        self.child.kill()
        self.child.wait()
        return True

    def report(self):
        status = "timeout" if time.monotonic() >= self.deadline else str(self.child.returncode)
        try:
            os.killpg(self.child.pid, signal.SIGKILL)
        except OSError:
            pass
        running = None
        for line in self.results.read().decode().splitlines():
            kind, test, *rest = line.split("\t")
            if kind == "start":
                running = test
                continue
            running = None
            print("test", self.name, test, *rest, sep="\t")
        if running:
            print("test", self.name, running, "unfinished", "0", sep="\t")
        print("suite", self.name, status, f"{time.monotonic() - self.started:.3f}", sep="\t", flush=True)


def run_all(jobs, seconds, suites):
    waiting = list(suites)
    running = []
    while waiting or running:
        while waiting and len(running) < jobs:
            running.append(Suite(waiting.pop(0), seconds))
        for suite in [suite for suite in running if suite.has_ended()]:
            running.remove(suite)
            suite.report()
        time.sleep(0.05)


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        run_one(sys.argv[2], [pattern for pattern in sys.argv[3].split(",") if pattern], sys.argv[4])
    else:
        run_all(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
