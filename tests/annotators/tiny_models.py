"""Tiny randomly initialised models of the real classes that label images, saved as their hubs' folders are."""

from __future__ import annotations

import json
from pathlib import Path

import torch
import transformers as t
from backbone.tiny import WIDTH, scheduler, text_config, tokenizer, vae
from diffusers import (
    MarigoldDepthPipeline,
    MarigoldIntrinsicsPipeline,
    MarigoldNormalsPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextModel

from genir.annotators.segments import ADE20K

NAMES = {number: f"thing {number}" for number in range(150)}
NAMES |= {number - 1: name for members in ADE20K.values() for number, name in members.items()}
SIZE = {"height": 56, "width": 56}


def save(folder: Path, model: object, processor: object) -> Path:
    model.save_pretrained(folder)  # type: ignore[attr-defined]
    processor.save_pretrained(folder)  # type: ignore[attr-defined]
    return folder


def depth_anything(folder: Path) -> Path:
    torch.manual_seed(0)
    backbone = t.Dinov2Config(
        image_size=56, patch_size=14, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        out_features=["stage1", "stage2"], reshape_hidden_states=False, apply_layernorm=True,
    )  # fmt: skip
    config = t.DepthAnythingConfig(
        backbone_config=backbone, patch_size=14, reassemble_hidden_size=16, reassemble_factors=[2, 1],
        neck_hidden_sizes=[8, 16], fusion_hidden_size=8, head_hidden_size=8, head_in_index=-1,
    )  # fmt: skip
    return save(folder, t.DepthAnythingForDepthEstimation(config), dpt_processor())


def dpt_processor() -> object:
    return t.DPTImageProcessorPil(size=SIZE, keep_aspect_ratio=True, ensure_multiple_of=14)


def dpt(folder: Path) -> Path:
    torch.manual_seed(0)
    config = t.DPTConfig(
        image_size=56, patch_size=14, hidden_size=16, num_hidden_layers=4, num_attention_heads=2, intermediate_size=24,
        backbone_out_indices=[0, 1, 2, 3], reassemble_factors=[4, 2, 1, 0.5], neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8, is_hybrid=False, use_auxiliary_head=False,
    )  # fmt: skip
    return save(folder, t.DPTForDepthEstimation(config), t.DPTImageProcessorPil(size=SIZE))


def zoedepth(folder: Path) -> Path:
    torch.manual_seed(0)
    backbone = t.BeitConfig(
        image_size=32, patch_size=16, hidden_size=16, num_hidden_layers=4, num_attention_heads=2, intermediate_size=24,
        out_features=["stage1", "stage2", "stage3", "stage4"], reshape_hidden_states=False,
        use_relative_position_bias=True,
    )  # fmt: skip
    config = t.ZoeDepthConfig(
        backbone_config=backbone, backbone_hidden_size=16, neck_hidden_sizes=[8, 8, 8, 8], fusion_hidden_size=8,
        bottleneck_features=8, num_relative_features=8, bin_embedding_dim=8, num_attractors=[4, 2, 1, 1],
        bin_configurations=[{"n_bins": 8, "min_depth": 0.001, "max_depth": 10.0, "name": "nyu"}],
        num_patch_transformer_layers=1, patch_transformer_hidden_size=8, patch_transformer_intermediate_size=8,
        patch_transformer_num_attention_heads=2,
    )  # fmt: skip
    processor = t.ZoeDepthImageProcessorPil(size={"height": 64, "width": 64})
    return save(folder, t.ZoeDepthForDepthEstimation(config), processor)


def segformer(folder: Path, names: dict[int, str] = NAMES) -> Path:
    torch.manual_seed(0)
    config = t.SegformerConfig(
        num_encoder_blocks=2, depths=[1, 1], sr_ratios=[4, 2], hidden_sizes=[8, 16], patch_sizes=[7, 3], strides=[4, 2],
        num_attention_heads=[1, 2], mlp_ratios=[2, 2], decoder_hidden_size=16, id2label=names,
        label2id={name: number for number, name in names.items()},
    )  # fmt: skip
    processor = t.SegformerImageProcessorPil(size={"height": 64, "width": 64})
    return save(folder, t.SegformerForSemanticSegmentation(config), processor)


def mask2former(folder: Path) -> Path:
    torch.manual_seed(0)
    swin = t.SwinConfig(
        image_size=64, patch_size=4, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=4,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = t.Mask2FormerConfig(
        backbone_config=swin, feature_size=32, mask_feature_size=32, hidden_dim=32, encoder_feedforward_dim=16,
        encoder_layers=1, decoder_layers=2, num_attention_heads=2, dim_feedforward=16, num_queries=10, id2label=NAMES,
    )  # fmt: skip
    processor = t.Mask2FormerImageProcessorPil(size={"height": 64, "width": 64})
    return save(folder, t.Mask2FormerForUniversalSegmentation(config), processor)


def oneformer(folder: Path) -> Path:
    torch.manual_seed(0)
    swin = t.SwinConfig(
        image_size=64, patch_size=4, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=4,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )  # fmt: skip
    tokens = tokenizer()
    config = t.OneFormerConfig(
        backbone_config=swin, num_queries=10, hidden_dim=32, mask_dim=32, conv_dim=32, encoder_feedforward_dim=16,
        encoder_layers=1, decoder_layers=2, num_attention_heads=2, dim_feedforward=16, task_seq_len=24, max_seq_len=24,
        text_encoder_width=32, text_encoder_context_length=24, text_encoder_num_layers=1, query_dec_layers=1,
        text_encoder_vocab_size=len(tokens), text_encoder_n_ctx=4, id2label=NAMES, is_training=False,
    )  # fmt: skip
    folder.mkdir(parents=True)
    classes = {str(number): {"isthing": 0, "name": name} for number, name in NAMES.items()}
    (folder / "classes.json").write_text(json.dumps(classes))
    reader = t.OneFormerImageProcessorPil(
        size={"height": 64, "width": 64}, class_info_file="classes.json", repo_path=str(folder), num_text=6
    )
    processor = t.OneFormerProcessor(reader, tokens, max_seq_length=24, task_seq_length=24)
    return save(folder, t.OneFormerForUniversalSegmentation(config), processor)


def vitpose(folder: Path) -> Path:
    torch.manual_seed(0)
    backbone = t.VitPoseBackboneConfig(
        image_size=[64, 48], patch_size=[16, 16], hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        mlp_ratio=2, out_indices=[2],
    )  # fmt: skip
    config = t.VitPoseConfig(backbone_config=backbone, num_labels=17, use_simple_decoder=True, scale_factor=4)
    return save(
        folder, t.VitPoseForPoseEstimation(config), t.VitPoseImageProcessorPil(size={"height": 64, "width": 48})
    )


def rt_detr(folder: Path, names: tuple[str, ...] = ("person", "chair")) -> Path:
    torch.manual_seed(0)
    resnet = t.RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 16, 16], depths=[1, 1, 1, 1], layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = t.RTDetrConfig(
        backbone_config=resnet, encoder_hidden_dim=16, encoder_in_channels=[16, 16, 16], feat_strides=[8, 16, 32],
        encoder_layers=1, encoder_ffn_dim=16, encoder_attention_heads=2, d_model=16, num_queries=12,
        decoder_in_channels=[16, 16, 16], decoder_ffn_dim=16, decoder_layers=1, decoder_attention_heads=2,
        num_denoising=0, id2label=dict(enumerate(names)), hidden_expansion=1.0,
    )  # fmt: skip
    processor = t.RTDetrImageProcessorPil(size={"height": 64, "width": 64})
    return save(folder, t.RTDetrForObjectDetection(config), processor)


def unet(inputs: int, outputs: int = 4, **more: object) -> UNet2DConditionModel:
    torch.manual_seed(0)
    return UNet2DConditionModel(
        in_channels=inputs, out_channels=outputs, block_out_channels=(16, 32), layers_per_block=1, sample_size=32,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=2, cross_attention_dim=WIDTH, norm_num_groups=8, **more,
    ).eval()  # fmt: skip


def marigold(folder: Path, domain: str) -> Path:
    tokens = tokenizer()
    parts = {
        "vae": vae(),
        "scheduler": scheduler("v_prediction"),
        "text_encoder": CLIPTextModel(text_config(tokens)).eval(),
        "tokenizer": tokens,
        "default_denoising_steps": 2,
        "default_processing_resolution": 64,
    }
    if domain == "depth":
        made = MarigoldDepthPipeline(unet=unet(8), prediction_type="depth", **parts)
    elif domain == "normal":
        made = MarigoldNormalsPipeline(unet=unet(8), prediction_type="normals", **parts)
    else:
        about = {
            "target_names": ["albedo", "roughness"],
            "albedo": {"prediction_space": "srgb"},
            "roughness": {"prediction_space": "linear"},
        }
        made = MarigoldIntrinsicsPipeline(
            unet=unet(12, 8), prediction_type="intrinsics", target_properties=about, **parts
        )
    made.save_pretrained(folder)
    (folder / "README.md").write_text("---\nlicense: openrail++\n---\n")
    return folder


def latent(folder: Path, inputs: int, **more: object) -> Path:
    """The parts of a Stable Diffusion, as Lotus and RGB<->X are published."""
    tokens = tokenizer()
    unet(inputs, **more).save_pretrained(folder / "unet")
    vae().save_pretrained(folder / "vae")
    CLIPTextModel(text_config(tokens)).save_pretrained(folder / "text_encoder")
    tokens.save_pretrained(folder / "tokenizer")
    scheduler("v_prediction").save_pretrained(folder / "scheduler")
    (folder / "model_index.json").write_text("{}")
    return folder


def lotus(folder: Path) -> Path:
    return latent(folder, 4, class_embed_type="projection", projection_class_embeddings_input_dim=4)


def rgb2x(folder: Path) -> Path:
    return latent(folder, 8)
