"""How the programs of benchmarks judge responses, written down from their behaviour: MathVista's
normalisation, M3CoT's judge, VLMEvalKit's option matching. Writes cases with what each makes of them
to `judges.json`.
"""

import json
import random
import re
import string

SEED = 20241217
CASES = 1500


def edit_distance(one, other):
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


def mathvista_extract(response, choices, answer_type):
    """What needs no model; None where the original asks one."""
    if response == "" or (choices and response in choices):
        return response
    for kind, read in (("integer", int), ("float", float)):
        if answer_type == kind:
            try:
                return str(read(response))
            except ValueError:
                pass
    found = re.search(r'The answer is "(.*)"\.', response)
    return found.group(1) if found else None


def mathvista_normalise(extraction, choices, answer_type, precision):
    if choices is not None:
        text = extraction.strip()
        bracketed = re.search(r"\(([a-zA-Z])\)", text)
        text = bracketed.group(1).upper() if bracketed else text
        letters = string.ascii_uppercase[: len(choices)]
        if len(text) == 1 and text in letters:
            return choices[letters.index(text)]
        return min(choices, key=lambda choice: edit_distance(text, choice))
    try:
        if answer_type == "integer":
            return str(int(float(extraction)))
        if answer_type == "float":
            return str(round(float(extraction), int(precision)))
    except (ValueError, OverflowError, TypeError):
        return None
    return extraction


def m3cot(response, choices):
    if "[Answer]" in response:
        response = response.split("[Answer]")[-1]
        response = response.split("[Rationale]")[0].split("[Context]")[0]
    bracketed = re.findall(r"\(([A-Za-z])\)", response)
    if bracketed:
        return bracketed[-1].upper()
    named = [i for i, choice in enumerate(choices) if choice.lower() in response.lower()]
    if named:
        return "ABCDEF"[named[-1]]
    words = re.sub(r"[\n.,!?]", " ", response).split(" ")
    for letters in ("ABCDEF", "abcdef"):
        alone = [i for i in range(len(choices)) if letters[i] in words]
        if alone:
            return "ABCDEF"[alone[-1]]
    return None


REFUSALS = (
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
)


def options(response, choices):
    """`choices` by letter."""
    if "Failed to obtain answer via API" not in response:
        if any(refusal in response for refusal in REFUSALS):
            return "Z"
        words = re.sub(r"[.()\[\],:;!*#{}]", " ", response).split()
        alone = [letter for letter in choices if letter in words]
        if len(alone) == 1 and words.index(alone[0]) > len(words) - 5:
            return alone[0]
        if not alone and "Z" in words:
            return "Z"
        said = re.search(r"(?i)(?:correct\s+)?answer\s+is\s+\**([ABCD])\**", response)
        if said and said.group(1).upper() in choices:
            return said.group(1).upper()
    lower = response.lower()
    if len(lower) > 2 * sum(map(len, choices.values())):
        return None
    named = [letter for letter, text in choices.items() if text.lower() in lower]
    return named[0] if len(named) == 1 else None


NUMBERS = (
    "7 -3 0 007 +12 1_000 1__0 _1 1.5 -0.5 2.675 0.125 1e3 1e22 1e-7 1e16 123456789012345678 3.0 .5 5. "
    "1e400 inf nan -Infinity ٣٤ ４２ ² 1,200 14% $1.45 -0.0 0.00001 99999999999999999999.5 1e-400"
).split() + [" 7 ", "\x1f8\n", "7 cm", "", " "]
WORDS = (
    "the answer is A B C D E Z a b (A) (B) (c) (d). Answer: correct **B** yes no red blue Option it "
    "[Answer] [Rationale] [Context] nice ice Cannot determine The \"7\". \n , ? ! | I think that"
).split(" ") + ["The answer is \"8\".", "Cannot determine the answer", "\u00a0", "ſ", "İ", "ǅ", "ß"]
TEXTS = "red|blue|a cat|a dog|ice|yes|no|7|3/11|8/11|None of these|İ|ΑΣ|(B)|A|both".split("|")


def write(folder):
    draw = random.Random(SEED)

    def response():
        if draw.random() < 0.2:
            return draw.choice(NUMBERS)
        return draw.choice((" ", " ", ". ", "")).join(draw.choices(WORDS + TEXTS, k=draw.randint(0, 9)))

    mathvista, cot, matched = [], [], []
    for _ in range(CASES):
        kind = draw.choice(("choice", "integer", "float", "list"))
        choices = draw.sample(TEXTS, draw.randint(1, 5)) if kind == "choice" else None
        answer_type = "text" if kind == "choice" else kind
        precision = draw.choice((None, 0, 1, 2, 2.0, 5)) if kind == "float" else None
        text = response()
        if kind in ("integer", "float") and draw.random() < 0.7:
            text = draw.choice(NUMBERS + [repr(draw.uniform(-1e4, 1e4)), repr(draw.gauss(0, 1) * 1e-3)])
        extracted = mathvista_extract(text, choices, answer_type)
        normal = mathvista_normalise(text, choices, answer_type, precision)
        case = {"text": text, "choices": choices, "answer_type": answer_type}
        mathvista.append(case | {"precision": precision, "extract": extracted, "normalise": normal})

        text, choices = response(), draw.sample(TEXTS, draw.randint(2, 6))
        cot.append({"text": text, "choices": choices, "option": m3cot(text, choices)})
        text, choices = response(), draw.sample(TEXTS, draw.randint(2, 5))
        lettered = dict(zip(string.ascii_uppercase, choices))
        matched.append({"text": text, "choices": choices, "option": options(text, lettered)})
    cases = {"mathvista": mathvista, "m3cot": cot, "options": matched}
    (folder / "judges.json").write_text(json.dumps(cases, ensure_ascii=False))
