"""Byte-level BPE by Hugging Face's tokenizers: what it learns from a text, and how it writes others with that.

  texts      what is encoded: contractions, white space, line ends, scripts, emoji, combining marks
  novel      learnt from examples/data/pride_and_prejudice.txt with `vocabulary` tokens: the joined pairs in order, the
             tokens of the texts, and how many the novel has; for a large vocabulary the sha256 of the pairs alone
  repeats    learnt from a small text in which pairs tie and overlap, with min_frequency 1 and 2
  char       a tokenizer.json as characters.ts writes it, and what it makes of a text
"""

import hashlib
import json
from pathlib import Path

import tokenizers
from emit import write
from tokenizers import ByteLevelBPETokenizer, Tokenizer

NOVEL = (Path(__file__).resolve().parents[2] / "examples/data/pride_and_prejudice.txt").read_bytes().decode()
TEXTS = [
    "It is a truth universally acknowledged, that a single man in possession of a good fortune",
    "they're  I'll\twe'd\n\n  don't   stop \n",
    "line\r\nend\r\n\r\n",
    "naïve café — “quoted” … 12,345.67",
    "日本語のテキスト и кириллица ελληνικά עברית",
    "👍🏽 👨‍👩‍👧 e\u0301 \u200d\u00a0\u3000 \U0001f600",
    "",
]
REPEATS = "aaaa aaa aa abab ababab abcabc bcbc cab\n\n\n\naaaa bca cbacba 111 1111 !!!! !! été étés 日本日本"


def trained(text, vocabulary, minimum):
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator([text], vocab_size=vocabulary, min_frequency=minimum, show_progress=False)
    return tokenizer


def pairs(tokenizer):
    return [list(m) for m in json.loads(tokenizer._tokenizer.to_str())["model"]["merges"]]


def case(text, vocabulary, minimum=2):
    t = trained(text, vocabulary, minimum)
    return {
        "vocabulary": vocabulary,
        "minFrequency": minimum,
        "size": t.get_vocab_size(),
        "merges": pairs(t),
        "ids": [t.encode(s).ids for s in TEXTS],
        "tokens": len(t.encode(text).ids),
    }


large = trained(NOVEL, 5000, 2)
char = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [],
    "normalizer": None,
    "pre_tokenizer": None,
    "post_processor": None,
    "decoder": {"type": "Fuse"},
    "model": {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": {c: i for i, c in enumerate(sorted(set("hello, wörld\n👍")))},
        "merges": [],
    },
}
by_char = Tokenizer.from_str(json.dumps(char)).encode("hold\nwörld 👍")

write(
    "bpe.json",
    {
        "about": "byte-level BPE by Hugging Face's tokenizers: see scripts/golden/bpe.py",
        "versions": {"tokenizers": tokenizers.__version__},
        "texts": TEXTS,
        "repeats": REPEATS,
        "cases": [
            {"text": "novel", **case(NOVEL, 600)},
            {"text": "repeats", **case(REPEATS, 300, 1)},
            {"text": "repeats", **case(REPEATS, 300, 2)},
        ],
        "large": {
            "vocabulary": 5000,
            "sha256": hashlib.sha256("\n".join(" ".join(p) for p in pairs(large)).encode()).hexdigest(),
            "tokens": len(large.encode(NOVEL).ids),
        },
        "char": {"json": char, "text": "hold\nwörld 👍", "ids": by_char.ids},
    },
)
