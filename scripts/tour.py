# %% [markdown]
"""A guided tour: how a sound becomes words, one step at a time, each by hand first and then by the library.

Run it whole, `python scripts/tour.py`, or cell by cell in an editor that knows `# %%`. It needs no network and no GPU.
Wherever the text claims something, the next line computes it and stops the tour if it is not so. `--output FOLDER`
adds a picture of the recording.
"""

import argparse
import math
import random
import sys
from collections import defaultdict
from itertools import groupby, product
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # started as a script, its own folder stands there

from asr.acoustic.model import build_model
from asr.acoustic.posteriors import Posteriors
from asr.acoustic.silence import leave_out_silence
from asr.audio import load_audio
from asr.bundle import ENGLISH_MODEL, load_bundle
from asr.cli.terminal import run_command
from asr.decoding import DecodingConfig, DecodingModels, GreedyDecoder, build_decoder
from asr.lm.corpus import encode_corpus
from asr.lm.counts import count_ngrams
from asr.lm.kneser_ney import estimate
from asr.metrics import word_error_rate
from asr.recognition.recognizer import Recognizer
from asr.tokenizer import BLANK, CharTokenizer

SAMPLES = Path(__file__).resolve().parents[1] / "data" / "samples"
SOUND = SAMPLES / "pi.flac"
SAID = "three one four one five nine two six"

parser = argparse.ArgumentParser(prog="tour", description="Go from a sound to its words, step by step.")
parser.add_argument("--output", type=Path, metavar="FOLDER", help="Where to write a picture. Default: none.")
arguments, _ = parser.parse_known_args()  # a notebook has arguments of its own


def claim(text: str, holds: bool | Tensor) -> None:
    """Say that something is so, having checked it."""
    if not holds:
        raise RuntimeError(f"the tour claims what does not hold here: {text}; please report it")
    print("  checked:", text)


def agree(first: Tensor, second: Tensor, tolerance: float = 1e-4) -> bool:
    """Tell whether two results are the same but for rounding."""
    return torch.allclose(first, second, atol=tolerance, rtol=tolerance)


# %% [markdown]
# ## 1. A sound is a list of numbers
#
# A microphone measures the pressure of the air, here 16,000 times a second. Each measurement is a *sample*, and a
# recording is the list of its samples, 1 being the loudest that the file can hold. Nothing else is in the file: no
# letters, no words, no mark where a word ends. All that is to come must be made of these numbers.

# %%
bundle = load_bundle(ENGLISH_MODEL)
model, tokenizer = build_model(bundle.network).eval(), bundle.tokenizer
sample_rate = model.config.sample_rate
waveform = torch.from_numpy(load_audio(SOUND, sample_rate))
print(f"1. {SOUND.name}: {len(waveform):,} samples, {len(waveform) / sample_rate:.2f} s")
print("   a few of them:", *(f"{sample:.3f}" for sample in waveform[20_000:20_008].tolist()))
claim("no sample is louder than 1", waveform.abs().max() <= 1)

# %% [markdown]
# ## 2. A frame is how much of each pitch there is
#
# A single sample tells nothing: what we hear is how fast the samples swing. So we cut the list into short overlapping
# stretches, *frames*, short enough that the mouth hardly moves within one, and ask of each how strong it is at each
# frequency. That is what the Fourier transform computes. By hand, for the frame that starts half a second in:
#
# 1. Subtract from each sample most of the one before. That lifts high frequencies, which are faint in speech.
# 2. Fade the frame in and out with a *window*, because an abrupt cut adds frequencies of its own.
# 3. Transform it, and square the magnitudes: the *power* at each frequency.
# 4. Sum the power under overlapping triangles, narrow at low frequencies and wide at high ones, as the ear does. This
#    is the *mel* scale.
# 5. Take logarithms: loudness is perceived as ratios, not differences.

# %%
settings = model.config.features
emphasized = waveform - settings.preemphasis * torch.cat([torch.zeros(1), waveform[:-1]])
first = 50 * settings.hop_length  # frame 50; frames start 10 ms apart
window = torch.zeros(settings.n_fft)
margin = (settings.n_fft - settings.win_length) // 2
window[margin : margin + settings.win_length] = torch.hann_window(settings.win_length)
power = torch.fft.rfft(emphasized[first : first + settings.n_fft] * window).abs() ** 2
log_mels = torch.log(power @ model.features.filters + 1e-8)  # the sum keeps digital silence from being minus infinity

waveforms, waveform_lengths = waveform[None], torch.tensor([len(waveform)])
all_log_mels, frame_counts = model.features.log_mels(waveforms, waveform_lengths)
print(f"2. one frame: {settings.n_fft} samples → {len(power)} frequencies → {len(log_mels)} mel filters")
claim("our frame is the library's", agree(log_mels, all_log_mels[0, 50]))

# %% [markdown]
# ## 3. Cepstra: the shape of the spectrum, coarse to fine
#
# Neighbouring filters overlap, so their values rise and fall together. The cosine transform writes the same column of
# numbers as a sum of waves: the first is level, the next a slope, then come ever finer ripples. How much there is of
# each are the *mel-frequency cepstral coefficients*, MFCC. One may keep only the first, coarsest ones.
#
# At last, each coefficient loses its mean over the recording, which takes away what does not change within it, such as
# the colour of the microphone; and one factor for all brings loud and faint recordings to the same strength.

# %%
waves = torch.arange(settings.n_mfcc)[:, None] * (torch.arange(settings.n_mels) + 0.5) * math.pi / settings.n_mels
cosines = torch.cos(waves) * math.sqrt(2 / settings.n_mels)  # a row for each wave
cosines[0] /= math.sqrt(2)
coefficients = all_log_mels[0] @ cosines.T
coefficients = coefficients - coefficients.mean(dim=0)
coefficients = coefficients / coefficients.square().mean().sqrt()

features, _ = model.features(waveforms, waveform_lengths)
print(
    f"3. MFCC: {features.shape[1]} frames, one every 10 ms; of {settings.n_mels} coefficients, {settings.n_mfcc} kept"
)
claim("our MFCC are the library's", agree(coefficients, features[0], 1e-3))
claim("the mean of each coefficient is 0", agree(features[0].mean(dim=0), torch.zeros(settings.n_mfcc)))
claim("the mean of all their squares is 1", agree(features[0].square().mean(), torch.tensor(1.0), 1e-3))

# %% [markdown]
# ## 4. A recurrent network remembers
#
# One frame is not enough to tell a letter: a "t" is a silence and then a burst. So the network carries a memory h
# from frame to frame, made of the frame x and of the memory before it:
#
#     h_t = tanh(W x_t + U h_(t-1) + b)
#
# W weighs the sound, U the past. This is all a recurrent network is; below, it is
# three lines. Such a memory fades or runs wild with time, so the model's layers are *LSTM*s, which let the network
# decide what to keep and for how long (`scripts/study_cells.py` measures both). And one half of each layer runs over
# the recording from its end, so that every output depends on what came before and on what comes after.

# %%
torch.manual_seed(0)
network = nn.RNN(settings.n_mfcc, 8)
w, u, *biases = network.parameters()
memory, memories = torch.zeros(8), []
for frame in features[0]:
    memory = torch.tanh(w @ frame + u @ memory + sum(biases))
    memories.append(memory)

print(f"4. a network with a memory of 8 numbers has run over {len(memories)} frames")
claim("our loop is PyTorch's recurrent network", agree(torch.stack(memories), network(features[0])[0]))

# %% [markdown]
# ## 5. Posteriors: the probability of each character, step by step
#
# First, two convolutions make one step out of a few frames, because speech has fewer letters than frames. Then the
# recurrent layers run, and from the memories of the last one the model computes, at each step, a probability for each
# character of its alphabet. One more symbol stands beside the characters: the *blank*, "nothing new here". Below is the
# likeliest symbol of each step, with a dot for the blank and a line for the space. The trained network runs on ONNX
# Runtime, which starts faster than PyTorch. Stretches of silence are kept from it, and blanks stand for them.

# %%
recognizer = Recognizer(bundle, device="cpu")
posteriors = recognizer.scorer.score_recording(waveform.numpy())
log_probs = torch.from_numpy(posteriors.log_probs)
best = log_probs.argmax(dim=1).tolist()
symbols = ("·", *tokenizer.characters)
print(f"5. {len(log_probs)} steps of {1000 * bundle.config.frame_shift:.0f} ms, {len(symbols)} symbols; the likeliest:")
print("  ", "".join(symbols[token] for token in best).replace(" ", "_"))
claim("the probabilities of each step sum to 1", agree(log_probs.exp().sum(dim=1), torch.ones(len(log_probs))))
sound = leave_out_silence(waveform.numpy(), bundle.config)
with torch.inference_mode():
    by_torch, _ = model(torch.from_numpy(sound.waveform)[None], torch.tensor([len(sound.waveform)]))
silent = [frame for begin, end in sound.left_out for frame in range(begin, end)]
scored = torch.from_numpy(np.delete(posteriors.log_probs, silent, axis=0))
claim("PyTorch, which trained the network, gives what ONNX Runtime gives", agree(by_torch[0], scored, 1e-2))

# %% [markdown]
# ## 6. CTC: many paths, one text
#
# A *path* is one symbol for each step. It gives a text by merging what repeats and then dropping the blanks: `tt·oo·`
# gives "to", and so does `·t··o·`. A double letter needs a blank in between: `to·o` gives "too", but `too·` gives "to".
# So a text has many paths, and its probability is the sum of theirs.
#
# Take a case small enough for paper: two steps, and one character, a. At each step the blank has probability 0.6 and
# a has 0.4. Of the four paths, the likeliest is `··`, with 0.6 · 0.6 = 0.36, and it spells nothing. But `a·`, `·a` and
# `aa` all give "a", and together they have 0.24 + 0.24 + 0.16 = 0.64. So **the likeliest path is not the likeliest
# text**.


# %%
def collapse(path: tuple[int, ...]) -> tuple[int, ...]:
    """Merge repeats, then drop blanks."""
    return tuple(token for token, _ in groupby(path) if token != BLANK)


def sum_paths(probs: Tensor) -> dict[tuple[int, ...], float]:
    """Return the probability of every text, by going through every path."""
    texts: dict[tuple[int, ...], float] = defaultdict(float)
    for path in product(range(probs.shape[1]), repeat=probs.shape[0]):
        texts[collapse(path)] += math.prod(float(step[token]) for step, token in zip(probs, path, strict=True))
    return texts


def spell_path(path: str) -> str:
    """Return the text of a path that is written with dots for blanks."""
    alphabet = "·to"
    return "".join(alphabet[token] for token in collapse(tuple(map(alphabet.index, path))))


letters = CharTokenizer(("a",))
tiny = torch.tensor([[0.6, 0.4], [0.6, 0.4]])
texts = sum_paths(tiny)
print(
    "6. two steps:", {letters.join(text) or "(nothing)": round(probability, 2) for text, probability in texts.items()}
)
claim("tt·oo· and ·t··o· both give to", spell_path("tt·oo·") == spell_path("·t··o·") == "to")
claim("to·o gives too, and too· gives to", (spell_path("to·o"), spell_path("too·")) == ("too", "to"))
claim("all texts together have probability 1", math.isclose(sum(texts.values()), 1, abs_tol=1e-6))
tiny_posteriors = Posteriors(tiny.log().numpy())
greedy = GreedyDecoder().decode(tiny_posteriors)[0]
claim("the best path spells nothing", letters.join(greedy.tokens) == "")
[[beam]] = build_decoder(DecodingConfig(decoder="beam", word_score=0.0), letters).decode([tiny_posteriors])
claim("the library's beam search, which adds paths up, finds a", letters.join(beam.tokens) == "a")
claim("and gives it log 0.64", math.isclose(beam.score, math.log(0.64), abs_tol=1e-5))

# %% [markdown]
# ## 7. Adding up more paths than anyone could list
#
# The real recording has too many paths to list. But paths have prefixes in common, and two prefixes at the same
# position in the text continue in the same ways, so their probabilities can be added up. That is the *forward
# algorithm*: write the text with a blank around each character, and carry along, for each position in it, the summed
# probability of all prefixes that end there. A prefix stays, moves on by one, or skips a blank between two different
# characters. The work is steps times positions, which takes a moment.
#
# Minus the logarithm of the result is the *CTC loss*. Training makes it small for the words that were spoken, and
# nobody has to mark at which step: every alignment takes part.
#
# The same algorithm counts. If every symbol had probability 1 at every step, every path would have it too, and their
# sum is how many they are.


# %%
def add_logs(logs: list[float]) -> float:
    """Return the logarithm of the sum of numbers given by their logarithms."""
    highest = max(logs)
    return highest if highest == -math.inf else highest + math.log(sum(math.exp(each - highest) for each in logs))


def forward(log_probs: Tensor, tokens: list[int]) -> float:
    """Return the log-probability of a text by the forward algorithm."""
    states = [BLANK]
    for token in tokens:
        states += [token, BLANK]
    scores = [0.0] + [-math.inf] * len(states)  # before the first step, everything is in front of the first state
    for step in log_probs.tolist():
        before = [-math.inf, *scores]  # one more, so that the first state can look back by two as well
        scores[0] = -math.inf
        for index, token in enumerate(states):
            may_skip = token not in {BLANK, states[index - 2]}
            ways = [before[index + 2], before[index + 1], before[index] if may_skip else -math.inf]
            scores[index + 1] = add_logs(ways) + step[token]
    return add_logs(scores[-2:])


def ctc_loss(log_probs: Tensor, tokens: list[int]) -> float:
    """Return PyTorch's CTC loss of a text."""
    lengths = torch.tensor([len(log_probs)]), torch.tensor([len(tokens)])
    return float(nn.functional.ctc_loss(log_probs[:, None], torch.tensor([tokens]), *lengths, reduction="sum"))


target = tokenizer.encode(SAID)
all_paths = len(log_probs) * math.log10(log_probs.shape[1])
its_paths = forward(torch.zeros_like(log_probs), target) / math.log(10)
print(f"7. of the 10^{all_paths:.0f} paths through the recording, 10^{its_paths:.0f} give {SAID!r}")
print(f"   its log-probability is {forward(log_probs, target):.2f}")
claim("on the tiny case, it counts three paths", math.isclose(forward(torch.zeros(2, 2), [1]), math.log(3)))
claim("on the tiny case, it gives log 0.64 too", math.isclose(forward(tiny.log(), [1]), math.log(0.64), abs_tol=1e-6))
difference = abs(forward(log_probs, target) + ctc_loss(log_probs, target))
claim("on the recording, it is minus PyTorch's CTC loss", difference < 0.01)

# %% [markdown]
# ## 8. A language model knows which words there are
#
# The network knows no words, only characters. A *language model* is the missing half: trained on text, it gives each
# word a probability after the words before it. Ours is trained on 2,000 made-up lines of digits, and so knows ten words
# and that any may follow any. The beam search multiplies both: how well a text fits the sound, and how likely it is as
# text. Each word makes a text less likely, here some ten times, so the search would rather leave words out; a
# `word_score` of log 10 pays that back. Words that the language model lacks are forbidden.
#
# This is no magic. Given a sentence about the weather, such a recogniser finds digits too.

# %%
WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
chance = random.Random(0)
lines = [chance.choices(WORDS, k=8) for _ in range(2_000)]
corpus = encode_corpus(lines)
lm = estimate(corpus.words, count_ngrams(corpus, 2))
print(f"8. language model: {lm.counts[0]} words and marks, {lm.counts[1]} pairs")
two_six, too_sicks = lm.score([["two", "six"], ["too", "sicks"]])
print(f"   log-probability of 'two six': {two_six:.1f}", end="; ")
print(f"of 'too sicks': {too_sicks:.1f}")
after_two = lm.score_word(lm.start(), "two")[1]
total = sum(math.exp(lm.score_word(after_two, word)[0]) for word in (*WORDS, "</s>", "<unk>"))
claim("after two, the probabilities of all that may follow sum to 1", math.isclose(total, 1, abs_tol=1e-3))
rules = DecodingConfig(decoder="beam", lm_weight=1.0, word_score=math.log(len(WORDS)), unknown_score=None)
searcher = build_decoder(rules, tokenizer, DecodingModels(lm=lm))
greedy_text = tokenizer.join(GreedyDecoder().decode(posteriors)[0].tokens)
weather = recognizer.scorer.score_recording(load_audio(SAMPLES / "weather.flac", sample_rate))
beam_text, weather_text = (
    tokenizer.join(hypotheses[0].tokens).strip() for hypotheses in searcher.decode([posteriors, weather])
)
for name, text in (("said", SAID), ("greedy", greedy_text), ("with words", beam_text)):
    print(f"   {name + ':':<12}{text}   ({word_error_rate([SAID], [text]):.0%} of the words wrong)")
claim("with the language model, every word is a digit", set(beam_text.split()) <= set(WORDS))
print("   the weather, with words:", weather_text)

# %% [markdown]
# ## 9. All of it in one call
#
# `Recognizer` does all this, cuts long recordings in pauses, and finds for each word the steps that spoke it. It
# decodes with the settings of the shipped model, and with a language model of English if one is shipped with it. These
# sentences are spoken by a machine; what the model is worth on people, its card says: `asr/models/english/README.md`.

# %%
for name in ("weather.flac", SOUND.name):
    transcript = recognizer.transcribe(SAMPLES / name)
    print(f"9. {name}:", *(f"{word.text} ({word.start:.1f} s)" for word in transcript.words))
starts = [word.start for word in transcript.words]
claim("words come in the order of time", starts == sorted(starts))
if arguments.output:
    run_command("asr.cli.plot", ["audio", str(SOUND), "--output", str(arguments.output / "digits.png"), "--quiet"])
    print(f"   a picture of sections 1, 3, 5 and 9: {arguments.output / 'digits.png'}")

# %% [markdown]
# ## Where to go from here
#
# - Train a recogniser yourself, in under a minute: `scripts/make_tones.py`, then `configs/smoke.yaml`.
# - See gradients vanish and explode, and what gates do about it: `scripts/study_cells.py --quick`.
# - Read the code in the order of this tour: `asr/audio/`, `asr/acoustic/features.py`, `asr/acoustic/model.py`,
#   `asr/training/module.py`, `asr/decoding/`, `asr/lm/`, `asr/recognition/recognizer.py`.
