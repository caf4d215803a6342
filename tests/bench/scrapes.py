#!/usr/bin/env python3
"""What being scraped costs: scrapes.py [SECONDS [SCRAPES PER SECOND]]. A program that holds a million blocks and then
does nothing is watched by `poolprof serve`; its processor time, the server's, and how long a scrape takes.
Environment: PP_LIBRARY, PP_PROGRAM, PP_PROGRAMS (of tests/serve) as ctest sets them; by default build/."""
import http.client
import os
import re
import subprocess
import sys
import time

BUILD = os.environ.get("BUILD", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../build"))
LIBRARY = os.environ.get("PP_LIBRARY", os.path.join(BUILD, "lib/libpoolprof.so"))
PROGRAM = os.environ.get("PP_PROGRAM", os.path.join(BUILD, "bin/poolprof"))
STILL = os.path.join(os.environ.get("PP_PROGRAMS", os.path.join(BUILD, "tests/serve/programs")), "still")


def processor_s(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def faults(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return int(fields[7]) + int(fields[9])


def main():
    seconds, rate = [float(a) for a in sys.argv[1:3]] + [60, 100][len(sys.argv[1:3]):]
    env = {**os.environ, "LD_PRELOAD": LIBRARY, "POOLPROF_OUTPUT": "none", "POOLPROF_REPORT": "none", "STILL_ITEMS": "1000000"}
    program = subprocess.Popen([STILL], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    program.stdout.readline()
    server = subprocess.Popen([PROGRAM, "serve", str(program.pid)], stdout=subprocess.PIPE, text=True)
    address = re.search(r"http://([^/]+)/", server.stdout.readline())[1]
    connection = http.client.HTTPConnection(address)

    def scrape():
        start = time.monotonic()
        connection.request("GET", "/metrics")
        body = connection.getresponse().read()
        return time.monotonic() - start, body

    took, body = scrape()
    print(f"first scrape: {took * 1000:.1f} ms, {len(body):,} bytes")
    before = [processor_s(p.pid) for p in (program, server)] + [faults(program.pid)]
    start, times = time.monotonic(), []
    while (now := time.monotonic() - start) < seconds:
        times.append(scrape()[0])
        time.sleep(max(0, len(times) / rate - (time.monotonic() - start)))
    after = [processor_s(p.pid) for p in (program, server)] + [faults(program.pid)]
    wall = time.monotonic() - start
    times.sort()
    print(f"{len(times) / wall:.0f} scrapes per second for {wall:.0f} s: each {1000 * times[len(times) // 2]:.2f} ms, "
          f"at most {1000 * times[-1]:.1f} ms")
    print(f"server: {100 * (after[1] - before[1]) / wall:.1f} % of a core")
    print(f"program: {after[0] - before[0]:.2f} s of processor time, {after[2] - before[2]} page faults")
    server.terminate()
    program.stdin.close()
    program.wait()


if __name__ == "__main__":
    main()
