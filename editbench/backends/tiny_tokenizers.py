"""Tokenizers and processors made from nothing for the tiny checkpoints."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

from editbench.backends.processors import image_only

CHAT_TEMPLATE = """\
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content -%}
{%- if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>
{%- elif part.type == 'text' %}{{ part.text }}{% endif -%}
{%- endfor %}{% endif %}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif -%}"""

SPECIALS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)

# What a tiny model will read and write, so that it takes few tokens. The first text is what the
# Qwen-Image-Edit pipelines put before an instruction; they cut off as many tokens as it really has.
CORPUS = """\
Describe the key features of the input image (color, shape, size, texture, objects, background), \
then explain how the user's text instruction should alter or modify the image. Generate a new \
image that meets the user's requirements while maintaining consistency with the original input \
where appropriate.
user
system
assistant
Picture 1: Picture 2: Picture 3: Image 1 is the source. Image 2, the last, is the edited image.
You judge edits of images. You see one or more source images and, last, the image that an editor \
made of them. Compare them closely before you answer. Give a whole number for each criterion: 0 is \
a complete failure, 5 a result with a clear defect, 10 a result that could not be better. Answer \
with one JSON object and nothing else. Give the reason first: one short sentence.
The edited image follows the instruction. Everything else is as it was: things, people, text, \
framing, style. The light does not fit, and the object is not in the right place.
make the sky red, remove the cat, add a hat, turn it into winter with snow, change the background \
to a beach at night, replace the car with a bicycle, brighter, darker
{"reason":"The edit is good.","following":10,"preservation":9,"quality":8,"realism":7}
{"reason":"The object is gone.","following":6,"preservation":5,"quality":4,"physical":3}
{"reason":"","environmental":2,"social":1,"causal":0,"referential":10,"scores":[2,1,0]}
{"instruction_following":1,"consistency":2,"visual_quality":3,"overall":4,"reasoning":"good"}
把天空变成红色，去掉猫，加一顶帽子，变成下雪的冬天，更亮，更暗，换成夜晚的海滩背景。
请比较原图和编辑后的图，判断编辑是否遵循指令、其余部分是否保持不变，以及图像质量。
"""


def qwen_tokenizer(size: int = 2048) -> Any:
    """Return a byte-level BPE tokenizer of Qwen's class, trained on the corpus."""
    from tokenizers import (
        AddedToken,
        Regex,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        trainers,
    )
    from transformers import Qwen2Tokenizer
    from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

    trained = Tokenizer(models.BPE())
    trained.normalizer = normalizers.NFC()
    trained.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trained.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(SPECIALS),
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        min_frequency=1,
    )
    trained.train_from_iterator(CORPUS.splitlines(), trainer=trainer)
    model = json.loads(trained.to_str())["model"]
    tokenizer = Qwen2Tokenizer(
        vocab=model["vocab"],
        merges=[tuple(pair) for pair in model["merges"]],
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        unk_token="<|endoftext|>",
        padding_side="left",
        model_max_length=8192,
        chat_template=CHAT_TEMPLATE,
    )
    tokenizer.add_tokens([AddedToken(text, special=True, normalized=False) for text in SPECIALS])
    return tokenizer


def vision_ids(tokenizer: Any) -> dict[str, int]:
    """Return the ids of the image tokens, named as in the configurations of the Qwen-VL family."""
    texts = {
        "image_token_id": "<|image_pad|>",
        "video_token_id": "<|video_pad|>",
        "vision_start_token_id": "<|vision_start|>",
        "vision_end_token_id": "<|vision_end|>",
    }
    return {name: int(tokenizer.convert_tokens_to_ids(text)) for name, text in texts.items()}


def qwen_processor(class_name: str, *, patch: int) -> Any:
    """Return a Qwen-VL processor that shows the model at most 16 tokens of an image."""
    import transformers
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    token = (2 * patch) ** 2  # pixels that become one token
    images = Qwen2VLImageProcessorPil(
        patch_size=patch,
        temporal_patch_size=2,
        merge_size=2,
        min_pixels=4 * token,
        max_pixels=16 * token,
    )
    cls = image_only(getattr(transformers, class_name))
    return cls(images, qwen_tokenizer(), chat_template=CHAT_TEMPLATE)


def save_video_half(folder: Path, class_name: str, *, patch: int) -> None:
    """Describe the video half, which ``AutoProcessor`` wants where torchvision is installed."""
    facts = {
        "video_processor_type": class_name,
        "patch_size": patch,
        "temporal_patch_size": 2,
        "merge_size": 2,
    }
    (folder / "video_preprocessor_config.json").write_text(json.dumps(facts), encoding="utf-8")


def clip_tokenizer() -> Any:
    """Return a tokenizer in CLIP's layout: bytes, bytes that end a word, a few merges."""
    from tokenizers import pre_tokenizers
    from transformers import CLIPTokenizer

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("t", "h"), ("e", "r</w>"), ("i", "n"), ("th", "e</w>"), ("r", "e")]
    texts = [
        *alphabet,
        *(letter + "</w>" for letter in alphabet),
        *(first + second for first, second in merges),
        "<|startoftext|>",
        "<|endoftext|>",
    ]
    vocab = {text: number for number, text in enumerate(texts)}
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=77)


def t5_tokenizer() -> Any:
    """Return a tokenizer of T5's class: printable letters and the words of the corpus."""
    from transformers import T5Tokenizer

    letters = [letter for letter in string.printable if not letter.isspace()]
    words = sorted({"▁" + word for word in CORPUS.split()})
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -10.0), ("▁", -2.0)]
    pieces += [(piece, -8.0 if len(piece) == 1 else -5.0) for piece in [*letters, *words]]
    pieces += [("<extra_id_1>", 0.0), ("<extra_id_0>", 0.0)]
    return T5Tokenizer(vocab=pieces, extra_ids=2, model_max_length=512)
