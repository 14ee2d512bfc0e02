#!/usr/bin/env python3
"""Counts the cases in meson's test logs and prints "N passed, N failed" as the last line.

A Check program counts as many cases as its summary says, any other program as one. A program that fails without
saying that a case failed (a crash, a time-out, a leak found at exit) counts as one failed case. Nothing at all having
run is a failure too."""
import json
import re
import sys

SUMMARY = re.compile(r'^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)$', re.MULTILINE)


def count(test):
    """(passed, failed) of one program."""
    if test['result'] == 'SKIP':
        return 0, 0
    good = test['result'] in ('OK', 'EXPECTEDFAIL')
    summaries = SUMMARY.findall(test.get('stdout', ''))
    cases = sum(int(checks) for checks, _, _ in summaries)
    bad = sum(int(failures) + int(errors) for _, failures, errors in summaries)
    if not summaries:
        return (1, 0) if good else (0, 1)
    return cases - bad, bad if good or bad > 0 else 1


def main(paths):
    passed = failed = 0
    unhappy = []
    for path in paths:
        try:
            with open(path, encoding='utf-8') as log:
                tests = [json.loads(line) for line in log if line.strip()]
        except OSError as error:
            tests = []
            unhappy.append(f'{path}: {error.strerror}')
            failed += 1
        for test in tests:
            good, bad = count(test)
            passed += good
            failed += bad
            if bad > 0 or test['result'] == 'SKIP':
                unhappy.append(f"{path.split('/')[-3]}: {test['name']}: {test['result'].lower()}")
    for line in unhappy:
        print(line)
    print(f'{passed} passed, {failed} failed')
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
