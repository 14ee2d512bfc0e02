#!/usr/bin/python3
"""results.py FOLDER PAGE...: puts the figures of FOLDER's JSON files, as ./run bench --json FOLDER writes them, into the pages.

A table stands in a page between the lines <!-- NAME --> and <!-- end -->, NAME being one of the functions below; each is made
anew whose file is there, and the others, like all text between the tables, are left as they are.
"""
import json
import os
import re
import sys

TRAINING_TARGETS = {  # least part of a step that is matrix products
    "A32": 0.65, "B64": 0.8, "B256": 0.9, "B1024": 0.9, "C256": 0.9}


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def mark(good):
    return "" if good else " (missed)"


def median(value):
    return value["median"]


def spread(value, digits):
    """The median, and the quartiles behind it."""
    return "%.*f (%.*f to %.*f)" % (digits, value["median"], digits, value["lower_quartile"], digits, value["upper_quartile"])


def size(n):
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if n < 1024 or unit == "GiB":
            return "%.4g %s" % (n, unit)
        n /= 1024


def optimizer(document):
    least = {"64 Mi flat": {"adam": 0.95, "adamw": 0.95, "sgd_momentum": 0.95, "adagrad": 0.95, "rmsprop": 0.95, "lamb": 0.95}}
    out = []
    for row in document["rows"]:
        if "parameters" not in row:
            continue
        notes, flat, name, step = [], row.get("longer_than_flat_share"), row["name"], row["step"]
        if step in least.get(name, {}):
            notes.append("95 %% of rmw%s" % mark(median(row["rmw_share"]) >= 0.95))
        if flat and step == "adam" and name != "784-512-256-10":
            notes.append("+5 %%%s" % mark(median(flat) <= 0.05))
        if "longer_than_unclipped_share" in row:
            clip = median(row["longer_than_unclipped_share"])
            notes.append("%+.1f %% than adam%s" % (100 * clip, "; +15 %" + mark(clip <= 0.15) if name == "784-512-256-10" else ""))
        if step == "adam" and name == "784-512-256-10" and row["threads"] in (1, 2):
            limit = 0.3 if row["threads"] == 1 else 0.16
            notes.append("%.2f ns%s" % (limit, mark(median(row["parameter_ns"]) <= limit)))
        out.append((name, step, str(row["threads"]), spread(row["parameter_ns"], 3), "%.1f" % median(row["gb_per_second"]),
                    "%.0f %%" % (100 * median(row["rmw_share"])), "%+.1f %%" % (100 * median(flat)) if flat else "-",
                    ", ".join(notes) or "-"))
    return table(("layout", "step", "threads", "ns per parameter (quartiles)", "GB/s", "of rmw", "than flat", "wanted"), out)


def machine(document):
    m, v = document["machine"], document["versions"]
    rows = [
        ("date", document["date"][:10]),
        ("CPU", "%s, %d cores" % (m["cpu"], m["physical_cores"])),
        ("caches", "L1d %s, L2 %s a core, L3 %s" % (size(m["l1d_bytes"]), size(m["l2_bytes"]), size(m["l3_bytes"]))),
        ("memory", size(m["memory_bytes"])),
        ("kernel", "Linux " + m["kernel"]),
        ("compiler", v["compiler"] + ", " + v["libc"]),
        ("Tread", "%s, kernels for %s" % (v["tread"], m["isa"])),
        ("oneDNN", "%s, %s" % (v["onednn"], v["onednn_isa"])),
    ]
    if "torch" in v:
        rows.append(("PyTorch", "%s, Python %s, NumPy %s" % (v["torch"], v["python"], v["numpy"])))
    return table(("", ""), rows)


def train(document):
    out = []
    for row in document["rows"]:
        rate, share = row["batch"] / median(row["step_us"]) * 1e3, median(row["gemm_share"])
        least = TRAINING_TARGETS.get(row["name"])
        out.append((row["name"], str(row["threads"]), "%.1f" % rate, spread(row["step_us"], 0), "%.0f" % median(row["gemm_us"]),
                    "%.0f %%" % (100 * share),
                    "-" if least is None else "%.0f %%%s" % (100 * least, mark(share >= least))))
    return table(("shape", "threads", "1000 samples/s", "us a step (quartiles)", "products alone, us", "share", "at least"), out)


def bf16(document):
    out = [(row["name"], str(row["threads"]), "%.1f" % (row["batch"] / median(row["bf16_step_us"]) * 1e3),
            spread(row["bf16_times"], 2),
            "1.50" + mark(median(row["bf16_times"]) >= 1.5) if row["batch"] >= 256 else "-")
           for row in document["rows"] if "bf16_step_us" in row]
    return table(("shape", "threads", "1000 samples/s", "times float32 (quartiles)", "at least"), out)


def bf16_accuracy(document):
    rows = document["rows"]
    differences = [row["difference"] for row in rows]
    mean = sum(differences) / len(rows)
    error = (sum((x - mean) ** 2 for x in differences) / (len(rows) - 1) / len(rows)) ** 0.5 if len(rows) > 1 else float("nan")
    means = ["%.3f %%" % (sum(row[name] for row in rows) / len(rows)) for name in ("float32_accuracy", "bf16_accuracy")]
    return table(("float32", "bf16", "difference (its standard error)", "at least", "differences of seeds %d to %d"
                  % (rows[0]["seed"], rows[-1]["seed"])),
                 [(means[0], means[1], "%+.3f (%.3f)" % (mean, error), "-0.1" + mark(mean >= -0.1),
                   ", ".join("%+.2f" % x for x in differences))])


def compare(document):
    peers = ("C++", "Python", "Python, untuned")
    out = []
    for row in document["rows"]:
        if "batch" in row:
            rates = [row["batch"] / median(row["step_us"][name]) * 1e3 for name in ("Tread",) + peers]
            target = row["target"]
            out.append((row["name"], str(row["threads"])) + tuple("%.1f" % rate for rate in rates) +
                       ("%.0f / %.0f us" % tuple(median(row["products_us"][name]) for name in ("Tread", "C++")),
                        "%.2f" % row["ratio"], "%.2f" % row["products_ratio"], "-" if target is None else "%.2f%s" % (target, mark(row["ratio"] >= target))))
    return table(("1000 samples/s", "threads", "Tread") + tuple("PyTorch, " + name for name in peers) +
                 ("products alone, Tread / C++", "Tread / best", "products / best", "wanted"), out)


def speed(document):
    """Short, for the README."""
    rows = {}
    for row in document["rows"]:
        if "batch" in row and row["threads"] in (1, 2):
            rates = [row["batch"] / median(row["step_us"][name]) * 1e3 for name in ("Tread", row["best_peer"])]
            rows.setdefault(row["name"], {})[row["threads"]] = rates + [row["ratio"]]
    return table(("1000 samples/s, 1 / 2 threads", "Tread", "PyTorch", "times faster"), [
        (name,) + tuple("%.*f / %.*f" % (digits, row[1][i], digits, row[2][i]) for i, digits in enumerate((1, 1, 2)))
        for name, row in rows.items() if len(row) == 2])


def compare_steps(document):
    peers = ("C++", "Python", "Python, untuned")
    out = []
    for row in document["rows"]:
        if "parameters" in row:
            times = [1e3 * median(row["step_us"][name]) / row["parameters"] for name in ("Tread",) + peers]
            out.append((row["name"], str(row["threads"])) + tuple("%.3f" % t for t in times) + ("%.1f" % row["ratio"],))
    return table(("Adam, ns per parameter", "threads", "Tread") + tuple("PyTorch, " + name for name in peers) +
                 ("times faster",), out)


def accuracy(document):
    for row in document["rows"]:
        if row["name"] == "to 97 %":
            return table(("seconds to 97 %, 2 threads", "median (quartiles)"), [
                ("Tread, from the start of the process", spread(row["wall_seconds"]["Tread"], 2)),
                ("PyTorch, from the start of the process", spread(row["wall_seconds"]["Python"], 2)),
                ("PyTorch, training alone", spread(row["training_seconds"]["Python"], 2))])
    return None


def command(document):
    names = {"version": "`tread --version`", "step": "one step: start, reading MNIST, evaluation",
             "epoch": "one epoch of B with batch 64, likewise"}
    out = [(names[row["name"]], spread(row["wall_ms"], 1), "%.0f" % median(row["peak_mb"]))
           for row in document["rows"] if row["name"] in names]
    out += [("97 %% of the test images right, %s, batch %d, %d seeds" % (row["optimizer"], row["batch"], len(row["runs"])),
             spread({key: 1e3 * value for key, value in row["wall_seconds"].items()}, 0), "-")
            for row in document["rows"] if row["name"] == "accuracy"]
    return table(("whole process, 2 threads", "ms (quartiles)", "peak, MB"), out)


def checkpoint(document):
    return table(("checkpoint", "MB", "caller waits, ms", "on disk after, ms"), [
        (row["name"], "%.1f" % (row["bytes"] / 1e6), spread(row["waits_ms"], 2), spread(row["on_disk_ms"], 2))
        for row in document["rows"]])


TABLES = {  # name of the table: file, function
    "machine": ("compare", machine), "train": ("train", train), "bf16": ("train", bf16),
    "bf16_accuracy": ("bf16_accuracy", bf16_accuracy), "compare": ("compare", compare), "speed": ("compare", speed),
    "compare_steps": ("compare", compare_steps), "accuracy": ("compare", accuracy), "command": ("command", command),
    "optimizer": ("optimizer", optimizer),
    "checkpoint": ("checkpoint", checkpoint),
}


def main():
    if len(sys.argv) < 3 or sys.argv[1].startswith("-"):
        print(__doc__, end="")
        sys.exit(0 if "--help" in sys.argv else 2)
    folder, pages = sys.argv[1], {}
    for path in sys.argv[2:]:
        with open(path) as file:
            pages[path] = file.read()
    for name, (source, make) in TABLES.items():
        path = os.path.join(folder, source + ".json")
        if not os.path.exists(path):
            continue
        with open(path) as file:
            lines = make(json.load(file))
        if lines is None:
            continue
        pattern = re.compile("(<!-- %s -->\n).*?(<!-- end -->)" % name, re.DOTALL)
        places = 0
        for page, text in pages.items():
            pages[page], n = pattern.subn(lambda found: found[1] + "\n".join(lines) + "\n" + found[2], text)
            places += n
        if places != 1:
            sys.exit("results.py: there are %d places for the table %s" % (places, name))
    for page, text in pages.items():
        with open(page, "w") as file:
            file.write(text)


if __name__ == "__main__":
    main()
