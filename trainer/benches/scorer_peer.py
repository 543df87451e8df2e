"""The same fine-tuning by transformers, and the cosine baseline: what `anamnesis-train scorer` is compared with.

    anamnesis-train scorer --recipe trainer/recipes/scorer.toml --out RUN
    cargo run --release --example scorer_examples -- RUN EXAMPLES
    python trainer/benches/scorer_peer.py RUN EXAMPLES [--threads 2]

Reads what the run learnt and was judged by, in the windows it was cut into, from EXAMPLES. Trains
BertForSequenceClassification on it with the run's own settings: epochs, examples a step, learning rate, schedule,
clip, weight decay on matrices alone, weights of labels, no dropout; the order differs. The last step's weights are
judged, with the temperature fitted on the same rows as the run's. Prints one JSON line a set and one of speed.
"""

import argparse
import json
import time
import tomllib
from collections import Counter
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer


def read(path):
    with open(path) as lines:
        return [json.loads(line) for line in lines]


def batches(tokenizer, pairs, size=32):
    """Tokenized batches of like lengths, with the places of their pairs."""
    tokens = tokenizer([claim for claim, _ in pairs], [text for _, text in pairs], truncation=True, max_length=512)
    order = sorted(range(len(pairs)), key=lambda at: -len(tokens["input_ids"][at]))
    for start in range(0, len(order), size):
        places = order[start : start + size]
        yield places, tokenizer.pad({key: [tokens[key][at] for at in places] for key in tokens}, return_tensors="pt")


def deciding(rows, logits):
    """Of each row's windows, the logits of the one with the strongest evidence."""
    placed, at = [], 0
    for row in rows:
        windows = logits[at : at + len(row["windows"])]
        at += len(row["windows"])
        strength = torch.maximum(windows[:, 0], windows[:, 1]) - windows[:, 2]
        placed.append(windows[strength.argmax()])
    return torch.stack(placed)


def judge(model, tokenizer, rows):
    pairs = [(row["claim"], window) for row in rows for window in row["windows"]]
    logits = torch.zeros(len(pairs), 3)
    with torch.inference_mode():
        for places, batch in batches(tokenizer, pairs):
            logits[places] = model(**batch).logits
    return deciding(rows, logits)


def calibration_error(probabilities, labels):
    confidence, likeliest = probabilities.max(1)
    bins = (confidence * 15).ceil().clamp(1, 15).long() - 1
    right = (likeliest == labels).double()
    gap = sum((confidence[bins == at] - right[bins == at]).sum().abs() for at in range(15))
    return float(gap / len(labels))


def report(name, logits, labels, temperature):
    kept = sorted(set(labels.tolist()))
    logits = logits[:, kept].double()
    labels = torch.tensor([kept.index(label) for label in labels.tolist()])
    likeliest = logits.argmax(1)
    f1 = []
    for label in range(len(kept)):
        right = int(((likeliest == label) & (labels == label)).sum())
        f1.append(2 * right / max(int((likeliest == label).sum()) + int((labels == label).sum()), 1))
    error = calibration_error((logits / temperature).softmax(1), labels)
    figures = {"accuracy": float((likeliest == labels).double().mean()), "macro_f1": sum(f1) / len(f1)}
    print(json.dumps({"set": name, "rows": len(labels), **figures, "calibration_error": error}), flush=True)


def fit_temperature(logits, labels):
    scale = torch.zeros(1, dtype=torch.double, requires_grad=True)
    search = torch.optim.LBFGS([scale], max_iter=100)

    def closure():
        search.zero_grad()
        loss = cross_entropy(logits.double() * scale.exp(), labels)
        loss.backward()
        return loss

    search.step(closure)
    return float((-scale.detach()).exp())


def cosine(path, tokenizer, folder, sets):
    """The likeness of a claim and its evidence, cut by two thresholds fitted on what is learnt: above supports, below
    is neutral, between contradicts, as far as a set has the labels."""
    encoder = AutoModel.from_pretrained(folder).eval()

    def vectors(texts):
        placed = torch.zeros(len(texts), encoder.config.hidden_size)
        with torch.inference_mode():
            for start in range(0, len(texts), 64):
                batch = tokenizer(texts[start : start + 64], truncation=True, max_length=256, padding=True, return_tensors="pt")
                states = encoder(**batch).last_hidden_state
                mask = batch["attention_mask"].unsqueeze(-1)
                mean = (states * mask).sum(1) / mask.sum(1)
                placed[start : start + 64] = torch.nn.functional.normalize(mean, dim=1)
        return placed

    train = read(path / "train.jsonl")
    train = train[:: max(len(train) // 3000, 1)]
    alike = (vectors([row["claim"] for row in train]) * vectors([row["evidence"] for row in train])).sum(1)
    labels = torch.tensor([row["label"] for row in train])
    grid = torch.linspace(-0.2, 1.0, 61)
    for name, rows in sets:
        likeness = torch.zeros(len(rows))
        claims = vectors([row["claim"] for row in rows])
        windows = vectors([window for row in rows for window in row["windows"]])
        at = 0
        for place, row in enumerate(rows):
            likeness[place] = (windows[at : at + len(row["windows"])] @ claims[place]).max()
            at += len(row["windows"])
        truth = torch.tensor([row["label"] for row in rows])
        kept = sorted(set(truth.tolist()))
        known = torch.isin(labels, torch.tensor(kept))
        seen, of_seen = alike[known], labels[known]

        def predict(values, low, high):
            # Of two labels one threshold tells; of three, neutral is least alike and support most.
            if len(kept) == 2:
                return torch.where(values > high, kept[0], kept[1])
            return torch.where(values > high, 0, torch.where(values > low, 1, 2))

        best = max(
            ((low, high) for low in grid for high in grid if low <= high and (len(kept) == 3 or low == grid[0])),
            key=lambda pair: float((predict(seen, *pair) == of_seen).double().mean()),
        )
        logits = torch.nn.functional.one_hot(predict(likeness, *best), 3) * 50.0
        report(f"cosine {name}", logits, truth, 1.0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("examples", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", choices=["cosine", "train", "speed"])
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)
    recipe = tomllib.loads((arguments.run / "config.toml").read_text())
    settings, optimiser, folder = recipe["scorer"], recipe["optimiser"], recipe["model"]["path"]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    sets = [(path.stem.removeprefix("set."), read(path)) for path in sorted(arguments.examples.glob("set.*.jsonl"))]
    if arguments.only in (None, "cosine"):
        cosine(arguments.examples, tokenizer, folder, sets)
    if arguments.only == "cosine":
        return
    if arguments.only == "speed":
        model = AutoModelForSequenceClassification.from_pretrained(arguments.run / "scorer").eval()
        rows = max(sets, key=lambda entry: len(entry[1]))[1]
        judge(model, tokenizer, rows[:64])
        begun = time.perf_counter()
        judge(model, tokenizer, rows)
        print(json.dumps({"judge_pairs_per_second": len(rows) / (time.perf_counter() - begun)}), flush=True)
        return

    train = read(arguments.examples / "train.jsonl")
    counts = Counter(row["label"] for row in train)
    weights = [len(train) / (3 * counts[label]) if settings["balance"] else 1.0 for label in range(3)]
    weights = torch.tensor(weights)
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=3, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    )
    matrices = [value for value in model.parameters() if value.dim() >= 2]
    vectors = [value for value in model.parameters() if value.dim() < 2]
    rate = optimiser["learning_rate"]
    adamw = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": optimiser["weight_decay"]}, {"params": vectors, "weight_decay": 0.0}],
        lr=rate,
        betas=(optimiser["beta1"], optimiser["beta2"]),
        eps=optimiser["epsilon"],
    )
    size = settings["pairs"]
    per_epoch = -(-len(train) // size)
    steps, warmup = per_epoch * settings["epochs"], optimiser["warmup_steps"]
    step, begun = 0, time.perf_counter()
    for _ in range(settings["epochs"]):
        order = torch.randperm(len(train)).tolist()
        for start in range(0, len(order), size):
            rows = [train[at] for at in order[start : start + size]]
            batch = tokenizer([row["claim"] for row in rows], [row["evidence"] for row in rows], truncation=True,
                              max_length=settings["window_tokens"], padding=True, return_tensors="pt")
            labels = torch.tensor([row["label"] for row in rows])
            losses = cross_entropy(model(**batch).logits, labels, reduction="none")
            (losses * weights[labels]).mean().backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), optimiser["clip_norm"])
            share = (step + 1) / warmup if step < warmup else max(1 - (step - warmup) / max(steps - warmup, 1), 0)
            for group in adamw.param_groups:
                group["lr"] = rate * share
            adamw.step()
            adamw.zero_grad()
            step += 1
            if step % 50 == 0:
                print(json.dumps({"step": step, "seconds": time.perf_counter() - begun}), flush=True)
    seconds = time.perf_counter() - begun
    print(json.dumps({"train_pairs_per_second": len(train) * settings["epochs"] / seconds, "seconds": seconds}), flush=True)
    model.eval()
    kept = read(arguments.examples / "calibration.jsonl")
    temperature = fit_temperature(judge(model, tokenizer, kept), torch.tensor([row["label"] for row in kept]))
    for name, rows in sets:
        logits = judge(model, tokenizer, rows)
        report(f"transformers {name}", logits, torch.tensor([row["label"] for row in rows]), temperature)


main()
