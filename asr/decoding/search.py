"""CTC prefix beam search, compiled: from log-probabilities to the best texts and their exact scores.

For each prefix y of a text, two sums over all paths that spell it are carried from frame to frame (p_t: the posteriors
of frame t, c: the last token of y, y-: y without it), kept as log(B + T) and the fractions that B and T are of the sum:

    blank:  B_t(y) = p_t(blank) * (B_{t-1}(y) + T_{t-1}(y))
    token:  T_t(y) = p_t(c) * (T_{t-1}(y) + R_{t-1}(y-, c))
    ready:  R_t(y, c) = B_t(y)             if y ends in c, for the same token again needs a blank between
                      = B_t(y) + T_t(y)    otherwise

The beam keeps the prefixes with the highest total: log(B + T) plus the score of the text (`DecodingConfig`), which is
exact for complete words. An incomplete word is charged what the likeliest word that it can become costs by itself
(language model look-ahead). A space only separates words: at the start, after another and at the end it means nothing.

Source: Hannun et al. (2014), arXiv:1408.2873; Ortmanns et al. (1996), ICSLP (look-ahead).
"""

import numpy as np
from numpy.typing import NDArray

from asr.compilation import compiled, helper
from asr.decoding.lexicon import NO_WORD, OUTSIDE, ROOT
from asr.decoding.tables import NO_TOKEN, NGrams, Settings, Tables
from asr.decoding.workspace import BEAM, CANDIDATES, NONE, PREFIXES, TOKENS, Workspace
from asr.lm.ngram import END, UNKNOWN
from asr.tokenizer import BLANK

_TINY = 1e-308  # keeps fractions and logarithms finite


@compiled
def advance(log_probs: NDArray[np.float32], tables: Tables, work: Workspace) -> None:
    """Search on by finite log-probabilities `(frames, vocabulary_size)`: the best candidates are the next beam."""
    for frame in log_probs:
        floor = _stay(frame, tables.settings, work)
        _extend(frame, floor, tables, work)
        _select(tables, work)


@compiled
def score_text(tokens: NDArray[np.int64], tables: Tables, work: Workspace) -> float:
    """Return the score of a whole text, its posteriors aside."""
    prefix = 0
    for token in tokens:
        prefix = _grow(prefix, token, tables, work)
    return _final_score(prefix, tables, work)


@helper
def _stay(frame: NDArray[np.float32], settings: Settings, work: Workspace) -> float:
    """Propose each prefix as it is, and return the total that others must exceed to be worth proposing."""
    prefixes, beam = work.prefixes, work.beam[: work.counts[BEAM]]
    work.counts[CANDIDATES] = 0
    work.extended[: len(beam)] = False
    for index in range(len(frame)):
        work.probs[index] = np.exp(np.float64(frame[index]))
    best, worst = -np.inf, np.inf
    for index in range(len(beam)):
        held = beam[index]
        # T_t(y) by repeating the last token. After a space, a blank and a space are the same text: B + T goes on.
        token = 1.0 if held.last == settings.space else held.token
        blank, log_both = 1.0, held.log_both
        # T_t(y) by extending y-, where that is in the beam too: R_{t-1}(y-, c).
        if held.parent != NONE and prefixes[held.parent].beam_index != NONE:
            parent = beam[prefixes[held.parent].beam_index]
            work.extended[prefixes[held.parent].beam_index, held.last] = True
            ready = parent.blank if parent.last == held.last else 1.0
            if parent.log_both <= log_both:
                token += ready * np.exp(parent.log_both - log_both)
            else:
                own = np.exp(log_both - parent.log_both)
                blank, token, log_both = own, token * own + ready, parent.log_both
        blank *= work.probs[BLANK]
        token *= work.probs[held.last]
        both = max(blank + token, _TINY)
        log_both += np.log(both)
        total = _propose(held.prefix, int(NO_TOKEN), log_both, blank / both, token / both, held.score, work)
        best, worst = max(best, total), min(worst, total)
    # No candidate below the floor can be in the next beam: a full beam has that many better ones already.
    floor: float = best - settings.beam_threshold
    return max(floor, worst) if len(beam) == settings.beam_size else floor


@helper
def _propose(
    prefix: int, next_token: int, log_both: float, blank: float, token: float, score: float, work: Workspace
) -> float:
    """Add a candidate, and return its total."""
    candidate = work.candidates[work.counts[CANDIDATES]]
    work.counts[CANDIDATES] += 1
    candidate.prefix, candidate.next_token, candidate.total = prefix, next_token, log_both + score
    candidate.log_both, candidate.blank, candidate.token = log_both, blank, token
    return log_both + score


@helper
def _extend(frame: NDArray[np.float32], floor: float, tables: Tables, work: Workspace) -> None:
    """Propose each prefix with one more token, where that brings the total above the floor.

    The likeliest token is tried first. The first that would fail even with the best charge ends the attempt.
    """
    settings, lexicon, hot_gain = tables.settings, tables.lexicon, tables.hot_words.gain
    _rank_tokens(frame, settings.space, work)
    for index in range(work.counts[BEAM]):
        held = work.beam[index]
        for token in work.tokens[: work.counts[TOKENS]]:
            reached = frame[token] + held.log_both
            if reached + held.ceiling <= floor:
                break
            charge = tables.charges[OUTSIDE]
            if held.next_tokens >> (token & 63) & 1:
                child = _find_label(lexicon.tokens, lexicon.children, held.spelling, token)
                charge = tables.charges[OUTSIDE if child == NONE else child]
            if reached + held.before + charge + settings.max_hot_gain > floor:
                gained = held.before + charge + hot_gain[work.prefixes[held.prefix].hot_state, token]
                floor = _offer(index, token, gained, frame, floor, settings, work)
    if settings.space != NO_TOKEN:
        _extend_by_space(frame, floor, tables, work)


@helper
def _rank_tokens(frame: NDArray[np.float32], space: int, work: Workspace) -> None:
    """List the tokens of words, the likeliest first."""
    work.counts[TOKENS] = 0
    for token in range(BLANK + 1, len(frame)):
        if token != space:
            place = work.counts[TOKENS]
            while place > 0 and frame[work.tokens[place - 1]] < frame[token]:
                work.tokens[place] = work.tokens[place - 1]
                place -= 1
            work.tokens[place] = token
            work.counts[TOKENS] += 1


@helper
def _offer(
    index: int, token: int, score: float, frame: NDArray[np.float32], floor: float, settings: Settings, work: Workspace
) -> float:
    """Propose a prefix of the beam with one more token, if that comes above the floor; return the new floor."""
    held = work.beam[index]
    log_token = frame[token] + held.log_both
    if held.last == token:
        log_token += np.log(held.blank)
    if log_token + score <= floor or work.extended[index, token]:
        return floor
    return max(floor, _propose(held.prefix, token, log_token, 0.0, 1.0, score, work) - settings.beam_threshold)


@helper
def _extend_by_space(frame: NDArray[np.float32], floor: float, tables: Tables, work: Workspace) -> None:
    """Propose each prefix with its last word ended."""
    settings = tables.settings
    for index in range(work.counts[BEAM]):
        held = work.beam[index]
        # The bound is cheap and the exact score is not: no word has a probability above 1.
        if held.last != settings.space and frame[settings.space] + held.log_both + held.end_ceiling > floor:
            here = work.prefixes[held.prefix]
            score = here.hot_score + tables.hot_words.gain[here.hot_state, settings.space]
            score += _end_word(held.prefix, tables, work)
            floor = _offer(index, settings.space, score, frame, floor, settings, work)


@helper
def _end_word(prefix: int, tables: Tables, work: Workspace) -> float:
    """Return the score of all words of a prefix, should the last one end here."""
    here, settings = work.prefixes[prefix], tables.settings
    score: float = here.words_score
    if np.isnan(score):
        score = work.prefixes[here.last_word].words_score + settings.word_score + tables.spelling[here.spelling]
        word = tables.lexicon.words[here.spelling]
        if word == NO_WORD:
            word = UNKNOWN
            before = work.prefixes[here.last_word].length  # a space follows it, unless nothing is before
            letters = here.length - before - min(before, 1)
            score += settings.unknown_score + settings.unknown_letter_score * letters
        score += settings.lm_weight * _follow(work.contexts[here.last_word], word, tables.ngrams, work.contexts[prefix])
        here.words_score = score
    return score


@helper
def _follow(context: NDArray[np.int32], word: int, ngrams: NGrams, next_context: NDArray[np.int32]) -> float:
    """Return log P(word | context) by back-off, and write down the context after it.

    log P(w | h) is that of the longest n-gram of the model that ends in w, plus the back-off weight of each longer
    context that the model holds without w.
    """
    log_prob = float(ngrams.log_probs[word])
    longer = int(word)
    for length in range(ngrams.order - 1):
        next_context[length] = longer
        longer = NONE
        node = context[length]
        if node != NONE:
            longer = _find_label(ngrams.word_ids, ngrams.children, node, word)
            log_prob = log_prob + float(ngrams.backoffs[node]) if longer == NONE else float(ngrams.log_probs[longer])
    return log_prob


@helper
def _find_label(labels: NDArray[np.int32], children: NDArray[np.int64], parent: int, label: int) -> int:
    """Find the child of a node that has a label; -1 if there is none. Those of a node are sorted."""
    begin, stop = children[parent], children[parent + 1]
    end = stop
    while begin < end:
        middle = (begin + end) // 2
        if labels[middle] < label:
            begin = middle + 1
        else:
            end = middle
    return begin if begin < stop and labels[begin] == label else NONE


@helper
def _select(tables: Tables, work: Workspace) -> None:
    """Let the best candidates be the next beam."""
    prefixes, beam, candidates = work.prefixes, work.beam, work.candidates
    floor, ties = _cut(tables.settings, work)
    index = 0
    for chosen in range(work.counts[CANDIDATES]):
        candidate = candidates[chosen]
        ties -= candidate.total == floor
        is_kept = candidate.total > floor or (candidate.total == floor and ties >= 0)
        if chosen < work.counts[BEAM]:  # it is of this beam
            if is_kept and index < chosen:
                beam[index] = beam[chosen]
            prefixes[candidate.prefix].beam_index = index if is_kept else NONE
        elif is_kept:
            _enter_beam(index, _grow(candidate.prefix, candidate.next_token, tables, work), tables, work)
        if is_kept:
            held = beam[index]
            held.log_both, held.total = candidate.log_both, candidate.total
            held.blank, held.token = candidate.blank, candidate.token
            index += 1
    work.counts[BEAM] = index


@helper
def _enter_beam(index: int, prefix: int, tables: Tables, work: Workspace) -> None:
    """Write what the beam keeps of a prefix besides its paths."""
    held, here = work.beam[index], work.prefixes[prefix]
    here.beam_index = index
    held.prefix, held.parent, held.last, held.score = prefix, here.parent, here.token, here.score
    held.spelling, held.next_tokens = here.spelling, tables.lexicon.next_tokens[here.spelling]
    held.before = work.prefixes[here.last_word].words_score + here.hot_score
    highest = held.before + tables.settings.max_hot_gain
    held.ceiling = highest + tables.highest_charges[here.spelling]
    held.end_ceiling = highest + tables.settings.word_score + tables.spelling[here.spelling]


@helper
def _cut(settings: Settings, work: Workspace) -> tuple[float, int]:
    """Return the total that a candidate needs for the next beam, and how many with just that there is room for."""
    totals = work.totals[: work.counts[CANDIDATES]]
    floor, room = -np.inf, settings.beam_size
    for index in range(len(totals)):
        totals[index] = work.candidates[index].total
        floor = max(floor, totals[index] - settings.beam_threshold)
    if len(totals) > room:
        floor = max(floor, _highest(totals, room))
    for total in totals:
        room -= total > floor
    return floor, room


@helper
def _highest(values: NDArray[np.float64], rank: int) -> float:
    """Return the value of a rank, 1 for the highest, and leave the values in another order (Hoare's selection)."""
    begin, end = 0, len(values) - 1
    while begin < end:
        pivot = values[(begin + end) // 2]
        left, right = begin, end
        while left <= right:
            while values[left] > pivot:
                left += 1
            while values[right] < pivot:
                right -= 1
            if left <= right:
                values[left], values[right] = values[right], values[left]
                left += 1
                right -= 1
        if rank - 1 <= right:
            end = right
        elif rank - 1 >= left:
            begin = left
        else:
            break
    return float(values[rank - 1])


@helper
def _grow(prefix: int, token: int, tables: Tables, work: Workspace) -> int:
    """Find or make the prefix with one more token."""
    prefixes = work.prefixes
    child: int = prefixes[prefix].first_child
    while child != NONE and prefixes[child].token != token:
        child = prefixes[child].next_sibling
    if child != NONE:
        return child
    number = int(work.counts[PREFIXES])
    work.counts[PREFIXES] += 1
    here, child_entry = prefixes[prefix], prefixes[number]
    child_entry.parent, child_entry.token, child_entry.length = prefix, token, here.length + 1
    child_entry.first_child, child_entry.next_sibling = NONE, here.first_child
    here.first_child = number
    child_entry.words_score = np.nan
    child_entry.hot_state = tables.hot_words.next_state[here.hot_state, token]
    child_entry.hot_score = here.hot_score + tables.hot_words.gain[here.hot_state, token]
    if token == tables.settings.space:
        child_entry.spelling, child_entry.last_word = ROOT, prefix
        child_entry.score = child_entry.hot_score + _end_word(prefix, tables, work)
    else:
        node = _find_label(tables.lexicon.tokens, tables.lexicon.children, here.spelling, token)
        child_entry.spelling, child_entry.last_word = OUTSIDE if node == NONE else node, here.last_word
        words_score = prefixes[here.last_word].words_score
        child_entry.score = child_entry.hot_score + words_score + tables.charges[child_entry.spelling]
    return number


@compiled
def finish(tables: Tables, work: Workspace) -> None:
    """Let the beam hold whole texts, without a space at the end, and their final totals, in no order."""
    prefixes, beam, settings = work.prefixes, work.beam, tables.settings
    best = 0
    for index in range(work.counts[BEAM]):
        best = index if beam[index].total > beam[best].total else best
        prefix = prefixes[beam[index].prefix]
        same = prefixes[prefix.last_word].beam_index
        if prefix.token == settings.space and same != NONE and same != index:
            beam[same].log_both = np.logaddexp(beam[same].log_both, beam[index].log_both)
            beam[index].log_both = -np.inf
    best_total, whole = beam[best].total, False
    for held in beam[: work.counts[BEAM]]:
        held.total = held.log_both + _final_score(held.prefix, tables, work)
        whole = whole or held.total > -np.inf
        if prefixes[held.prefix].token == settings.space:
            held.prefix = prefixes[held.prefix].last_word
    if not whole:  # all end inside a word, where none is allowed to: keep what the best said before
        beam[best].prefix = prefixes[beam[best].prefix].last_word
        beam[best].total = best_total


@helper
def _final_score(prefix: int, tables: Tables, work: Workspace) -> float:
    """Return the score of a prefix as a whole text, its posteriors aside."""
    here = work.prefixes[prefix]
    text = here.last_word if here.token == tables.settings.space else prefix
    score: float = _end_word(text, tables, work) + here.hot_score + tables.hot_words.final_gain[here.hot_state]
    log_prob = _follow(work.contexts[text], int(END), tables.ngrams, work.contexts[len(work.contexts) - 1])
    return score + tables.settings.lm_weight * log_prob
