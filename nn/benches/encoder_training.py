#!/usr/bin/env python3
"""What encoder_training.rs measures, on torch and transformers: padded batches, no dropout, no optimiser.
With one thread, the time that it had a core.

usage: encoder_training.py MODEL_DIR [--threads 2]
needs: pip install torch transformers
"""
import argparse, os, time

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("--threads", type=int, default=2)
arguments = parser.parse_args()
os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from transformers import BertForSequenceClassification

torch.set_num_threads(arguments.threads)
model = BertForSequenceClassification.from_pretrained(arguments.model, num_labels=3).eval()
vocabulary = model.config.vocab_size


def batch(count, length, mixed):
    lengths = [length // 2 + number * 37 % (length // 2 + 1) if mixed else length for number in range(count)]
    longest = max(lengths)
    padded = lambda rows: torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    ids = padded([[(t * 7919 + n * 104729) % vocabulary for t in range(size)] for n, size in enumerate(lengths)])
    types = padded([[int(t * 2 >= size) for t in range(size)] for size in lengths])
    return {"input_ids": ids, "token_type_ids": types, "attention_mask": padded([[1] * size for size in lengths])}


clock = time.process_time if arguments.threads == 1 else time.perf_counter


def best(work):
    seconds = []
    for _ in range(4):
        start = clock()
        work()
        seconds.append(clock() - start)
    return min(seconds)


print(f"{model.config.num_hidden_layers} layers of {model.config.hidden_size}, threads {torch.get_num_threads()}, "
      f"attention {model.config._attn_implementation}, torch {torch.__version__}")
for count, length, mixed in [(32, 128, 0), (16, 256, 0), (32, 128, 1), (16, 256, 1)]:
    inputs = batch(count, length, mixed)
    targets = torch.arange(count) % 3

    def learn():
        model.zero_grad(set_to_none=False)
        torch.nn.functional.cross_entropy(model(**inputs).logits, targets).backward()

    with torch.no_grad():
        served = best(lambda: model(**inputs))
    learned = best(learn)
    print(f"{count} pairs of {'up to ' if mixed else ''}{length}: learning {count / learned:.1f} pairs/s, "
          f"serving {count / served:.1f} pairs/s")
