#!/usr/bin/env python3
"""What a Python user would put behind HTTP for hybrid retrieval: bm25s, a static token table, hnswlib and rank fusion in FastAPI.

    peer_retrieve.py INDEX --build CORPUS.jsonl.gz [--encoder static-encoder.bin]   # once: writes the folder INDEX
    peer_retrieve.py INDEX [--port 8090] [--workers 1] [--fusion rrf|minmax] [--words numba|numpy]

Serves POST /retrieve {query, k} as `anamnesis serve` does POST /v1/retrieve: both arms 100 deep, fused, the best k with
title and text. `load.sh` loads both by turns. The token table is the project's own, so both embed alike; a handler is a
plain function on FastAPI's threads, answers are written by pydantic, and uvicorn takes uvloop and httptools.
needs: pip install bm25s PyStemmer numba numpy hnswlib tokenizers fastapi "uvicorn[standard]"
"""
import argparse
import gzip
import json
import os
import struct
import time
from pathlib import Path

import bm25s
import hnswlib
import numpy as np
import Stemmer
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

TABLE = Path(__file__).parents[2] / "retriever/assets/static-encoder.bin"
DEPTH = 100


class StaticEncoder:
    """A text's unit vector: the rows of its distinct tokens, each by 1 + ln of its count (retriever/src/embed)."""

    def __init__(self, path):
        data = Path(path).read_bytes()
        magic, _, header, words, rows, width = struct.unpack_from("<8s5I", data)
        assert magic == b"anmstat\n", f"{path} is no static encoder"
        at = 28 + header
        vocabulary = data[at : at + words].decode().split("\n")
        scales = np.frombuffer(data, np.float32, rows, at + words)
        table = np.frombuffer(data, np.int8, rows * width, at + words + 4 * rows).reshape(rows, width)
        self.table = table * scales[:, None]
        ids = {token: number for number, token in enumerate(vocabulary)}
        self.unknown = ids["[UNK]"]
        self.tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
        self.tokenizer.normalizer = normalizers.BertNormalizer()
        self.tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()

    def embed(self, text):
        tokens, counts = np.unique(self.tokenizer.encode(text).ids, return_counts=True)
        known = tokens != self.unknown
        if not known.any():
            return np.full(self.table.shape[1], self.table.shape[1] ** -0.5, np.float32)
        vector = (1 + np.log(counts[known])).astype(np.float32) @ self.table[tokens[known].astype(np.int64)]
        return vector / np.linalg.norm(vector)


def build(folder, corpus, encoder):
    folder.mkdir(parents=True, exist_ok=True)
    with gzip.open(corpus, "rt") as lines:
        rows = [json.loads(line) for line in lines]
    rows = [{"id": row["id"], "title": row.get("title") or "", "text": row["text"]} for row in rows]
    texts = [f"{row['title']} {row['text']}".strip() for row in rows]
    started = time.time()
    words = bm25s.BM25(method="lucene", k1=0.9, b=0.4)
    stemmer = Stemmer.Stemmer("english")
    words.index(bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, show_progress=False), show_progress=False)
    words.save(folder / "words")
    print(f"{len(rows)} passages, words in {time.time() - started:.0f} s", flush=True)
    started = time.time()
    static = StaticEncoder(encoder)
    vectors = np.stack([static.embed(text) for text in texts])
    print(f"vectors in {time.time() - started:.0f} s", flush=True)
    started = time.time()
    graph = hnswlib.Index("ip", vectors.shape[1])
    graph.init_index(len(vectors), M=16, ef_construction=200)
    graph.add_items(vectors)
    graph.save_index(str(folder / "graph.bin"))
    (folder / "encoder.bin").write_bytes(Path(encoder).read_bytes())
    (folder / "passages.json").write_text(json.dumps(rows))
    print(f"graph in {time.time() - started:.0f} s")


class Request(BaseModel):
    query: str
    k: int = 10


class Hit(BaseModel):
    rank: int
    score: float
    id: str
    title: str
    text: str


class Retrieved(BaseModel):
    results: list[Hit]


def reciprocal_rank(lists):
    fused = {}
    for ids, _ in lists:
        for rank, found in enumerate(ids.tolist(), 1):
            fused[found] = fused.get(found, 0.0) + 1 / (60 + rank)
    return fused


def min_max(lists, weights=(0.8, 0.2)):
    fused = {}
    for (ids, scores), weight in zip(lists, weights):
        low, span = scores.min(), np.ptp(scores)
        for found, value in zip(ids.tolist(), (weight * (scores - low) / (span or 1)).tolist()):
            fused[found] = fused.get(found, 0.0) + value
    return fused


def service():
    """The application, for uvicorn; each process of it holds the whole index."""
    folder = Path(os.environ["PEER_INDEX"])
    fuse = {"rrf": reciprocal_rank, "minmax": min_max}[os.environ["PEER_FUSION"]]
    passages = json.loads((folder / "passages.json").read_text())
    words = bm25s.BM25.load(folder / "words", backend=os.environ["PEER_WORDS"])
    stemmer = Stemmer.Stemmer("english")
    static = StaticEncoder(folder / "encoder.bin")
    graph = hnswlib.Index("ip", static.table.shape[1])
    graph.load_index(str(folder / "graph.bin"))
    graph.set_ef(128)
    graph.set_num_threads(1)
    app = FastAPI()

    def lexical(query):
        tokens = bm25s.tokenize([query], stopwords="en", stemmer=stemmer, show_progress=False)
        ids, scores = words.retrieve(tokens, k=DEPTH, show_progress=False, n_threads=0)
        found = scores[0] > 0
        return ids[0][found], scores[0][found]

    def nearest(query):
        ids, distances = graph.knn_query(static.embed(query), k=DEPTH)
        return ids[0], 1 - distances[0]

    @app.post("/retrieve")
    def retrieve(request: Request) -> Retrieved:
        lists = [found for found in (lexical(request.query), nearest(request.query)) if len(found[0])]
        best = sorted(fuse(lists).items(), key=lambda found: -found[1])[: request.k]
        hits = [Hit(rank=rank, score=score, **passages[found]) for rank, (found, score) in enumerate(best, 1)]
        return Retrieved(results=hits)

    retrieve(Request(query="the first search compiles and touches what later ones need"))
    return app


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path, help="the folder of the index")
    parser.add_argument("--build", metavar="CORPUS", help="make the index of this corpus (JSON lines, gzip) and end")
    parser.add_argument("--encoder", default=TABLE, help="the token table")
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--workers", type=int, default=1, help="processes, each with the index of its own")
    parser.add_argument("--fusion", choices=["rrf", "minmax"], default="rrf")
    parser.add_argument("--words", choices=["numba", "numpy"], default="numba", help="what bm25s computes with")
    arguments = parser.parse_args()
    if arguments.build:
        return build(arguments.index, arguments.build, arguments.encoder)
    os.environ |= {"PEER_INDEX": str(arguments.index), "PEER_FUSION": arguments.fusion, "PEER_WORDS": arguments.words}
    here = Path(__file__)
    uvicorn.run(f"{here.stem}:service", factory=True, app_dir=str(here.parent), port=arguments.port,
                workers=arguments.workers, log_level="warning")


if __name__ == "__main__":
    main()
