"""Whole tiny checkpoints as transformers saves them, with tokenizer, processor and chat template, and
what they answer to questions about pictures. Called by `goldens.py`. Below `checkpoints/NAME/`:

    the folder that `save_pretrained` of model and processor wrote
    asked/INDEX.png        a picture
    asked/asked.json       for each question its text, pictures, token ids, and the greedy answer
"""

import json

import torch
from inputs import SPECIALS, TEMPLATES, TEXTS, picture
from transformers import (
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    PreTrainedTokenizerFast,
    ProcessorMixin,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
    SmolVLMProcessor,
)
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

from models import randomise, text

# Processors ask for one of videos, which needs torchvision; no golden has a video.
ProcessorMixin.check_argument_for_proper_class = lambda self, name, argument: type(argument)

QUESTIONS = [("How many bars are there?", 1), ("Which is higher: A or B?", 1), ("What is 3 + 4?", 0), ("Which picture is darker?", 2)]
GREEDY = 24


def tokenizer_of(template, end, **special):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=320, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(TEXTS + [question for question, _ in QUESTIONS] * 5, trainer)
    tokenizer.add_special_tokens(SPECIALS)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<|endoftext|>", eos_token=end, chat_template=template, **special)


def checkpoint(folder, name, model, processor, tokenizer, about, seed):
    torch.manual_seed(seed)
    folder = folder / "checkpoints" / name
    model = model.eval()
    randomise(model)
    image = model.config.image_token_id
    model.get_output_embeddings().weight.data[image] = 0
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    processor.image_processor.save_pretrained(folder)
    (folder / "processor_config.json").write_text(json.dumps(about))
    (folder / "asked").mkdir(exist_ok=True)
    asked = []
    for index, (question, count) in enumerate(QUESTIONS):
        names = []
        for k in range(count):
            names.append(f"asked/{index}{k}.png")
            picture(60 + 45 * index, 84 - 20 * k, index).save(folder / names[-1])
        pictures = [picture(60 + 45 * index, 84 - 20 * k, index) for k in range(count)]
        content = [{"type": "image"}] * count + [{"type": "text", "text": question}]
        written = tokenizer.apply_chat_template([{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True)
        inputs = processor(text=[written], images=[pictures] if count else None, return_tensors="pt")
        with torch.no_grad():
            out = model.generate(**inputs, max_new_tokens=GREEDY, do_sample=False)
        start = inputs["input_ids"].shape[1]
        answer = out[0, start:].tolist()
        asked.append({"question": question, "images": names, "tokens": inputs["input_ids"][0].tolist(), "answer": answer,
                      "text": tokenizer.decode(answer, skip_special_tokens=True)})
    (folder / "asked" / "asked.json").write_text(json.dumps(asked, indent=1))


def checkpoints(folder):
    tokenizer = tokenizer_of(TEMPLATES["smolvlm"], "<end_of_utterance>")
    tokenizer.fake_image_token, tokenizer.image_token, tokenizer.global_image_token = "<fake_token_around_image>", "<image>", "<global-img>"
    tokenizer.end_of_utterance_token = "<end_of_utterance>"
    ids = tokenizer.convert_tokens_to_ids
    size = len(tokenizer)
    images = SmolVLMImageProcessorPil(size={"longest_edge": 64}, max_image_size={"longest_edge": 32})
    config = SmolVLMConfig(
        text_config=text(model_type="llama", vocab_size=size, max_position_embeddings=1024), tie_word_embeddings=False, scale_factor=2, image_token_id=ids("<image>"), pad_token_id=0,
        vision_config=dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, image_size=32, patch_size=8))
    processor = SmolVLMProcessor(images, tokenizer, None, image_seq_len=4, chat_template=TEMPLATES["smolvlm"])
    checkpoint(folder, "smolvlm", SmolVLMForConditionalGeneration(config), processor, tokenizer, {"image_seq_len": 4}, 11)

    special = {"image_token": "<|image_pad|>", "video_token": "</slice>", "vision_bos_token": "<|vision_start|>", "vision_eos_token": "<|vision_end|>"}
    tokenizer = tokenizer_of(TEMPLATES["qwen2_vl"], "<|im_end|>", extra_special_tokens=special)
    ids, size = tokenizer.convert_tokens_to_ids, len(tokenizer)
    images = Qwen2VLImageProcessorPil(min_pixels=28 * 28, max_pixels=28 * 28 * 9)
    config = Qwen2_5_VLConfig(
        text_config=text(vocab_size=size, hidden_size=64, max_position_embeddings=1024, rope_parameters={"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]}),
        vision_config=dict(depth=2, hidden_size=32, intermediate_size=48, num_heads=2, out_hidden_size=64, fullatt_block_indexes=[1], window_size=56, patch_size=14),
        image_token_id=ids("<|image_pad|>"), video_token_id=ids("</slice>"), vision_start_token_id=ids("<|vision_start|>"), vision_end_token_id=ids("<|vision_end|>"), tie_word_embeddings=False)
    processor = Qwen2_5_VLProcessor(images, tokenizer, None, chat_template=TEMPLATES["qwen2_vl"])
    checkpoint(folder, "qwen2.5-vl", Qwen2_5_VLForConditionalGeneration(config), processor, tokenizer, {}, 12)

    special = {"start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>", "video_token": "</slice>"}
    tokenizer = tokenizer_of(TEMPLATES["internvl"], "<|im_end|>", extra_special_tokens=special)
    ids, size = tokenizer.convert_tokens_to_ids, len(tokenizer)
    images = GotOcr2ImageProcessorPil(size={"height": 28, "width": 28}, max_patches=4, crop_to_patches=True)
    config = InternVLConfig(
        text_config=text(model_type="qwen2", vocab_size=size, max_position_embeddings=1024), image_token_id=ids("<IMG_CONTEXT>"), image_seq_length=4, tie_word_embeddings=False,
        vision_config=dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, image_size=[28, 28], patch_size=[7, 7]))
    processor = InternVLProcessor(images, tokenizer, None, image_seq_length=4, chat_template=TEMPLATES["internvl"])
    checkpoint(folder, "internvl", InternVLForConditionalGeneration(config), processor, tokenizer, {"image_seq_length": 4}, 13)
