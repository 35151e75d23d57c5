"""What a reader may call a thing: spellings and other words for the search.

Sphinx splits a text into words in Python, and a query in JavaScript. Both apply the
same rules: British spelling becomes American, and what has several names gets one word
more, the same for all of them. The word stands for the names in a query; a text keeps
its own words beside it.
"""

from __future__ import annotations

import json
import re

from sphinx.search.en import SearchEnglish

# What both Python and JavaScript read: no groups by name, nothing looked behind.
SPELLINGS = {
    r"\b(\w{3,})is(e[drs]?|ers?|ing|ations?)\b": r"\1iz\2",  # noise, too, both ways
    r"\b(\w{3,})ours?\b": r"\1or",
    r"\b(\w+)yse([drs]?)\b": r"\1yze\2",
    r"\bnormalis": "normaliz",
    r"\bcentres?\b": "center",
}
SAME = {
    "bf16": r"bf[\s-]?16|bfloat[\s-]?16|brain float",
    "fp16": r"(?:fp|float)[\s-]?16|16[\s-]bits?|half[\s-]precision",
    "int8": r"int[\s-]?8|u?int8|(?:8|eight)[\s-]?bits?",
    "int4": r"int[\s-]?4|(?:4|four)[\s-]?bits?",
    "mixedprecision": r"mixed[\s-]precision|amp|automatic mixed precision",
    "lora": r"lora|low[\s-]rank (?:adaptation|adapters?)",
    "ddp": r"ddp|(?:distributed )?data[\s-]parallel(?:ism)?|multi[\s-]?gpu",
    "outofmemory": r"oom|out[\s-]of[\s-]memory|runs? out of memory",
    "divergence": r"nans?|diverg(?:e|es|ed|ing|ence)|blows? up|explod(?:e|es|ing)",
    "sgd": r"sgd|stochastic gradient descent|mini[\s-]?batch(?:es)?",
    "learningrate": r"learning[\s-]rates?|lr|step[\s-]sizes?",
    "qat": r"qat|quantization[\s-]aware(?: training)?",
    "dpsgd": r"dp[\s-]sgd|differential(?:ly)? priva(?:cy|te)",
    "zeroshards": r"zero[\s-]?1|fsdp|shard(?:s|ed|ing)?",
    "gradaccumulation": r"(?:gradient|grad)[\s-]accumulation|micro[\s-]?batch(?:es)?",
    "checkpoints": r"checkpoint(?:s|ed|ing)?|resum(?:e|es|ed|ing)",
    "finetuning": r"fine[\s-]?tun(?:e|es|ed|ing)",
    "allreduce": r"all[\s-]?reduce",
    "weightdecay": r"weight[\s-]decay|l2 regularization",
    "warmup": r"warm[\s-]?up",
    "codebook": r"code[\s-]?books?|weight sharing|shared weights",
    "distillation": r"distill?(?:s|ed|ing|ation)?|teacher|student network",
}
# Of a question, the words that name nothing.
QUESTIONS = """
about an any can cannot could did do does during from get gets has have how i it's its
me more my need or our out should so than use used using vs we what when where which
while who why would you your
"""
BOUND = {word: rf"\b(?:{names})\b" for word, names in SAME.items()}
IN_JAVASCRIPT = {find: form.replace("\\", "$") for find, form in SPELLINGS.items()}
WORD = re.compile(r"\w+")


def spelled(text: str) -> str:
    """Return a text in lower case and American spelling."""
    text = text.lower()
    for pattern, form in SPELLINGS.items():
        text = re.sub(pattern, form, text, flags=re.ASCII)
    return text


def words(text: str) -> list[str]:
    """Return the words of a text, and those that stand for what it names."""
    text = spelled(text)
    more = [w for w, names in BOUND.items() if re.search(names, text, re.ASCII)]
    return WORD.findall(text) + more


class English(SearchEnglish):
    """Sphinx's English, with these words."""

    stopwords = SearchEnglish.stopwords | set(QUESTIONS.split())

    js_splitter_code = "\n".join(  # read by search.js
        f"const {name} = {json.dumps(list(pairs.items()))};"
        for name, pairs in (("SPELLINGS", IN_JAVASCRIPT), ("SAME", BOUND))
    )

    def split(self, input: str) -> list[str]:
        """Split a text into words."""
        return words(input)
