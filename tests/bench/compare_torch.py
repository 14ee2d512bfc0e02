#!/usr/bin/python3
"""Tread against PyTorch, in turns: training steps on MNIST and Adam's steps over several layouts of parameters.

Each peer is a process that waits for its turn. In a round every contestant runs once for each shape, and who begins
changes from round to round, so that a disturbed moment hits all alike; figures are medians over the rounds.

PyTorch runs three times: through C++ and through Python, both at their best (OpenBLAS with OpenMP, an allocator that keeps
memory, the optimizers' multi-tensor form), and through Python as Debian installs it with OpenBLAS. --probe shows what each
of those settings gives. Variables by which a user has changed OpenBLAS, OpenMP or malloc are taken from PyTorch's
environment. Debian: python3-torch python3-numpy libtorch-dev g++ libopenblas0-openmp libtcmalloc-minimal4.
"""
import argparse
import gzip
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TARGETS = {  # Tread's rate over that of the best way of PyTorch, at 1 and 2 threads
    "A32": (1.45, 2.0), "A128": (1.3, 1.75), "B64": (1.2, 1.4), "B256": (1.2, 1.45), "B1024": (1.1, 1.3),
    "C256": (1.05, 1.1),
}
BATCH = {"A32": 32, "A128": 128, "B64": 64, "B256": 256, "B1024": 1024, "C256": 256}
LAYOUTS = {"784-512-256-10": 535818, "10000 of 256": 2560000, "1000 of 64 Ki": 65536000, "64 Mi flat": 67108864}
LIBRARIES = "/usr/lib/" + os.uname().machine + "-linux-gnu/"


def fail(sentence):
    sys.exit("compare_torch: " + sentence)


def torch_environment(threads, blas="openmp", malloc="tcmalloc", core=None):
    """The environment of a peer; names as --probe prints them."""
    ours = ("OMP_", "GOMP_", "OPENBLAS_", "MALLOC_", "GLIBC_TUNABLES", "LD_", "ONEDNN_", "DNNL_")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    environment["OMP_NUM_THREADS"] = environment["OPENBLAS_NUM_THREADS"] = str(threads)
    environment["LD_LIBRARY_PATH"] = LIBRARIES + "openblas-" + blas
    if core is not None:
        environment["OPENBLAS_CORETYPE"] = core
    library = LIBRARIES + {"tcmalloc": "libtcmalloc_minimal.so.4", "jemalloc": "libjemalloc.so.2"}.get(malloc, "none")
    if os.path.exists(library):
        environment["LD_PRELOAD"] = library
    elif malloc != "plain":  # glibc's, told to keep what is freed
        environment["MALLOC_TRIM_THRESHOLD_"] = environment["MALLOC_MMAP_THRESHOLD_"] = "1000000000"
    return environment


class Torch:
    def __init__(self, options, threads, front, **settings):
        command = {"c++": [options.peer, str(threads), options.data]}.get(front) or [
            "/usr/bin/python3", os.path.join(HERE, "peer_torch.py"), "--threads", str(threads), "--way", front,
            "--data", options.data]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=torch_environment(threads, **settings))

    def seconds(self, what, seconds):
        """Seconds a step."""
        print(what, seconds, sep="\t", file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline().split()
        if len(answer) != 2:
            fail("PyTorch ended at " + what)
        return float(answer[1]) / float(answer[0])

    def end(self):
        self.process.stdin.close()
        self.process.wait()


class Tread:
    """Tread's own programs, started for each figure: they begin in a fraction of a second."""

    def __init__(self, options, threads):
        self.options, self.threads, self.document, self.products = options, threads, None, []

    def seconds(self, what, seconds):
        with tempfile.NamedTemporaryFile() as file:
            training = what in BATCH
            program = "bench_train" if training else "bench_optimizer"
            selection = ["--shapes", what, "--seconds", str(seconds), "--repeats", "1", "--data", self.options.data]
            if not training:
                selection = ["--layouts", what, "--steps", "adam", "--no-sparse", "--rounds", "3"]
            command = [os.path.join(self.options.build, "tests/bench", program), "--threads", str(self.threads),
                       "--json", file.name] + selection
            done = subprocess.run(command, stdout=subprocess.DEVNULL, env={"GOMP_SPINCOUNT": "1000", **os.environ})
            if done.returncode != 0:
                fail(" ".join(command) + " failed")
            self.document = json.load(open(file.name))
        rows = [row for row in self.document["rows"]
                if row["threads"] == self.threads and (training or row["step"] == "adam")]
        self.products.append(rows[0]["gemm_us"]["median"] * 1e-6 if training else None)
        return rows[0]["step_us"]["median"] * 1e-6

    def end(self):
        pass


def summary(values):
    quartiles = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    return {"median": statistics.median(values), "lower_quartile": quartiles[0], "upper_quartile": quartiles[2],
            "least": min(values), "greatest": max(values), "n": len(values)}


def compare(options, threads, rows):
    contestants = {
        "Tread": Tread(options, threads),
        "C++": Torch(options, threads, "c++"),
        "Python": Torch(options, threads, "eager"),
        "Python, untuned": Torch(options, threads, "eager", malloc="plain"),
    }
    names = list(contestants)
    for what in options.shapes + options.layouts:
        times = {name: [] for name in names}
        contestants["Tread"].products = []
        for r in range(options.rounds if what in BATCH else min(options.rounds, 3)):
            for name in names[r % len(names):] + names[:r % len(names)]:
                time.sleep(0.02)  # until the threads of who was before have ended their spinning
                times[name].append(contestants[name].seconds(what, options.seconds))
        medians = {name: statistics.median(times[name]) for name in names}
        best = min(names[1:], key=medians.get)
        ratio = medians[best] / medians["Tread"]
        target = TARGETS[what][min(threads, 2) - 1] if what in TARGETS and threads <= 2 else None
        row = {"name": what, "threads": threads, "best_peer": best, "ratio": ratio, "target": target,
               "step_us": {name: summary([1e6 * t for t in times[name]]) for name in names}}
        if what in BATCH:
            row["batch"] = BATCH[what]
            row["products_ratio"] = medians[best] / statistics.median(contestants["Tread"].products)
            row["products_us"] = {"Tread": summary([1e6 * t for t in contestants["Tread"].products]), "C++": summary(
                [1e6 * contestants["C++"].seconds("products " + what, options.seconds / 3) for _ in range(3)])}
            shown = [BATCH[what] / medians[name] / 1e3 for name in names]
        else:
            row["parameters"] = LAYOUTS[what]
            shown = [1e9 * medians[name] / LAYOUTS[what] for name in names]
        rows.append(row)
        print("%-15s %7d " % (what, threads) + " ".join("%15.*f" % (3 if what in LAYOUTS else 1, x) for x in shown) +
              "%8.2f %8s %8s" % (ratio, "%.2f" % row["products_ratio"] if what in BATCH else "-",
                                 "-" if target is None else "%.2f" % target), flush=True)
    for contestant in contestants.values():
        contestant.end()
    return contestants["Tread"].document


def compare_accuracy(options, rows):
    """From the start of a process until 97 % of the test images are right, with the same settings; 2 threads."""
    program = os.path.join(options.build, "tests/bench/bench_command")
    walls, trainings, ours, steps, missed = [], [], [], [], 0
    for seed in range(1, options.seeds + 1):
        with tempfile.NamedTemporaryFile() as file:
            # It ends with 1 also where a seed stays below 97 %.
            subprocess.run([program, "--only", "accuracy", "--first", str(seed), "--seeds", "1", "--data", options.data,
                            "--json", file.name], stdout=subprocess.DEVNULL)
            if os.path.getsize(file.name) == 0:
                fail(program + " failed")
            ours.append(json.load(open(file.name))["rows"][0]["wall_seconds"]["median"])
        start = time.perf_counter()
        done = subprocess.run(["/usr/bin/python3", os.path.join(HERE, "peer_torch.py"), "--threads", "2", "--accuracy",
                               str(seed), "--data", options.data], env=torch_environment(2), capture_output=True, text=True)
        walls.append(time.perf_counter() - start)
        if done.returncode != 0:
            fail("PyTorch failed: " + done.stderr)
        words = done.stdout.split()
        steps.append(int(words[0]))
        trainings.append(float(words[1]))
        missed += float(words[2]) < 0.97
    rows.append({"name": "to 97 %", "threads": 2, "peer_missed": missed, "peer_steps": summary(steps),
                 "wall_seconds": {"Tread": summary(ours), "Python": summary(walls)},
                 "training_seconds": {"Python": summary(trainings)}})
    print("to 97 %%: Tread %.2f s, PyTorch %.2f s, of which training %.2f s; missed by PyTorch %d of %d times" % (
        statistics.median(ours), statistics.median(walls), statistics.median(trainings), missed, options.seeds))


def probe(options, threads):
    """What each setting gives, so that the choice above can be checked on another machine."""
    settings = [("c++", {}), ("eager", {}), ("traced", {}), ("onednn", {})]
    settings += [("c++", {"malloc": m}) for m in ("jemalloc", "glibc", "plain")]
    settings += [("c++", {"blas": "pthread"}), ("c++", {"core": "Haswell"}), ("c++", {"core": "SkylakeX"})]
    print("%-34s" % ("thousands of samples/s, %d threads" % threads), *("%8s" % s for s in options.shapes))
    for front, changes in settings:
        peer = Torch(options, threads, front, **changes)
        rates = [BATCH[s] / min(peer.seconds(s, options.seconds) for _ in range(2)) / 1e3 for s in options.shapes]
        peer.end()
        print("%-34s" % " ".join([front] + list(changes.values())), *("%8.1f" % rate for rate in rates), flush=True)


def prepare(options, work):
    """Compiles the C++ peer, and unpacks the images for it."""
    options.peer = os.path.join(options.build, "tests/bench/peer_torch")
    source = os.path.join(HERE, "peer_torch.cpp")
    if not os.path.exists(options.peer) or os.path.getmtime(options.peer) < os.path.getmtime(source):
        subprocess.run(["c++", "-O2", "-std=c++17", "-I/usr/include/torch/csrc/api/include", source, "-o", options.peer,
                        "-ltorch", "-ltorch_cpu", "-lc10"], check=True)
    for name in os.listdir(options.data):
        if name.endswith(".gz"):
            with gzip.open(os.path.join(options.data, name)) as packed, open(os.path.join(work, name[:-3]), "wb") as file:
                shutil.copyfileobj(packed, file)
        elif "ubyte" in name:
            shutil.copy(os.path.join(options.data, name), work)
    options.data = work


def versions():
    return json.loads(subprocess.run(["/usr/bin/python3", "-c", "import json, sys, numpy, torch; print(json.dumps({"
                                      "'torch': torch.__version__, 'numpy': numpy.__version__, 'python': "
                                      "sys.version.split()[0]}))"], check=True, capture_output=True, text=True).stdout)


def write(options, found, document, rows):
    if options.json and document:
        document = {**document, "program": "compare_torch", "command": ["compare_torch.py"] + sys.argv[1:], "rows": rows,
                    "date": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
                    "versions": {**document["versions"], **found}}
        with open(options.json, "w") as file:
            json.dump(document, file, indent=1)


def main():
    def listed(allowed):
        def parse(text):
            words = [word for word in text.split(",") if word]
            for word in words:
                if word not in allowed:
                    raise argparse.ArgumentTypeError("%r is none of %s" % (word, ", ".join(allowed)))
            return words
        return parse

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(ROOT, "build"), help="the build folder, with the benchmarks")
    parser.add_argument("--data", default=os.path.join(ROOT, "data/mnist"), help="folder with MNIST's files")
    parser.add_argument("--threads", default="1,2", help="at each of these [1,2]")
    parser.add_argument("--shapes", type=listed(BATCH), default=list(BATCH), help="trainings [all]; '' for none")
    parser.add_argument("--layouts", type=listed(LAYOUTS), default=list(LAYOUTS), help="of Adam's steps [all]; '' for none")
    parser.add_argument("--rounds", type=int, default=7, help="rounds [7]; of Adam's steps at most 3")
    parser.add_argument("--seconds", type=float, default=0.3, help="of each training in a round [0.3]")
    parser.add_argument("--seeds", type=int, default=0, help="trainings until 97 %% of the test images are right [0]")
    parser.add_argument("--probe", action="store_true", help="compare PyTorch's settings with each other instead")
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON too")
    options = parser.parse_args()
    rows, document, found = [], {}, versions()
    with tempfile.TemporaryDirectory() as work:
        prepare(options, work)
        for threads in map(int, options.threads.split(",")):
            if options.probe:
                probe(options, threads)
                continue
            print("%-15s %7s " % ("", "threads") + " ".join("%15s" % name for name in
                  ("Tread", "C++", "Python", "untuned")) + "%8s %8s %8s" % ("ratio", "products", "wanted"))
            document = compare(options, threads, rows) or document
            write(options, found, document, rows)  # what comes later may fail
        if options.seeds > 0:
            compare_accuracy(options, rows)
            write(options, found, document, rows)


if __name__ == "__main__":
    main()
