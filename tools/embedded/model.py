"""The networks of the embedded model: SDXL's shape at 1/200 of its size."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from tools.embedded import patch_autoencoder

LATENT_CHANNELS = 32
TEXT_WIDTH = 128
POOLED_WIDTH = 128
TIME_WIDTH = 32

SCHEDULE = {
    "num_train_timesteps": 1000,
    "beta_schedule": "squaredcos_cap_v2",
    "prediction_type": "v_prediction",
}
SAMPLING = {"timestep_spacing": "trailing", "clip_sample": False, "set_alpha_to_one": True, "steps_offset": 0}


class TextAndUNet(nn.Module):
    """Everything that is trained together: two text encoders and the denoiser."""

    def __init__(self, tokenizer: CLIPTokenizer) -> None:
        super().__init__()
        config = CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=TEXT_WIDTH,
            intermediate_size=4 * TEXT_WIDTH,
            projection_dim=POOLED_WIDTH,
            num_hidden_layers=3,
            num_attention_heads=4,
            max_position_embeddings=tokenizer.model_max_length,
            hidden_act="quick_gelu",
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
        shallow = CLIPTextConfig(**{**config.to_dict(), "num_hidden_layers": 2})
        self.text_encoder = CLIPTextModel(shallow)
        self.text_encoder_2 = CLIPTextModelWithProjection(config)
        self.unet = UNet2DConditionModel(
            sample_size=16,
            in_channels=LATENT_CHANNELS,
            out_channels=LATENT_CHANNELS,
            layers_per_block=1,
            block_out_channels=(128, 144, 144),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            transformer_layers_per_block=1,
            cross_attention_dim=2 * TEXT_WIDTH,
            attention_head_dim=4,
            norm_num_groups=16,
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=TIME_WIDTH,
            projection_class_embeddings_input_dim=6 * TIME_WIDTH + POOLED_WIDTH,
        )

    def encode(self, ids_NL: Tensor) -> tuple[Tensor, Tensor]:
        """Embeds (N, L, 2 D) and pooled vectors (N, P) exactly as SDXL takes them: penultimate hidden
        states.
        """
        first = self.text_encoder(ids_NL, output_hidden_states=True).hidden_states[-2]
        second = self.text_encoder_2(ids_NL, output_hidden_states=True)
        return torch.cat([first, second.hidden_states[-2]], -1), second.text_embeds

    def forward(self, noisy: Tensor, steps_N: Tensor, ids_NL: Tensor, sizes_N6: Tensor) -> Tensor:
        """Predicted v (N, Z, h, w) in float32; sizes are SDXL's (original, crop, target), rows before
        columns.
        """
        embeds, pooled = self.encode(ids_NL)
        added = {"text_embeds": pooled, "time_ids": sizes_N6}
        return self.unet(noisy, steps_N, embeds, added_cond_kwargs=added).sample.float()

    def load_pipeline(self, folder: Path) -> None:
        """Take the weights of a pipeline that `save_pipeline` wrote."""
        self.unet = UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32)
        self.text_encoder = CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32)
        self.text_encoder_2 = CLIPTextModelWithProjection.from_pretrained(
            folder / "text_encoder_2", dtype=torch.float32
        )

    def load_average(self, checkpoint: Path) -> None:
        """Take the moving average of a checkpoint of train.py."""
        state = torch.load(checkpoint, mmap=True)
        with torch.no_grad():
            for p, value in zip([p for p in self.parameters() if p.requires_grad], state["average"], strict=True):
                p.copy_(value)


def save_pipeline(model: TextAndUNet, tokenizer: CLIPTokenizer, vae_folder: Path, out: Path) -> None:
    """Write a folder that StableDiffusionXLPipeline loads (trust_remote_code for the autoencoder's class)."""
    out.mkdir(parents=True, exist_ok=True)
    vae = patch_autoencoder.PatchAutoencoder.from_pretrained(vae_folder)
    vae.register_to_config(_name_or_path="")  # else the folder of whoever ran the recipe travels with the model
    vae.half().save_pretrained(out / "vae")
    shutil.copyfile(patch_autoencoder.__file__, out / "vae" / "patch_autoencoder.py")
    copy.deepcopy(model.unet).half().save_pretrained(out / "unet")
    model.text_encoder.save_pretrained(out / "text_encoder")
    model.text_encoder_2.save_pretrained(out / "text_encoder_2")
    tokenizer.save_pretrained(out / "tokenizer")
    tokenizer.save_pretrained(out / "tokenizer_2")
    DDIMScheduler(**SCHEDULE, **SAMPLING).save_pretrained(out / "scheduler")
    index = {
        "_class_name": "StableDiffusionXLPipeline",
        "_diffusers_version": "0.42.1",
        "force_zeros_for_empty_prompt": False,
        "scheduler": ["diffusers", "DDIMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "tokenizer_2": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["patch_autoencoder", "PatchAutoencoder"],
        "image_encoder": [None, None],
        "feature_extractor": [None, None],
    }
    (out / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
