"""A tiny nnU-Net v2 model in its own file format, with random or chosen weights; needs nnunetv2."""

from __future__ import annotations

import json


def write_model(folder, *, labels, spacing=(3.0, 3.0, 3.0), channel="CT", bright=True, best=0):
    """Write plans.json, dataset.json and fold_0 of a one-stage network.

    With `best`, all that is above 0 HU gets that label. With `bright`, weights are chosen so that it labels
    by brightness: where its mask lies tells whether the path from scan to mask keeps its place. Else weights
    are random.
    """
    import torch
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    architecture = {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": {
            "n_stages": 2,
            "features_per_stage": [4, 8],
            "conv_op": "torch.nn.modules.conv.Conv3d",
            "kernel_sizes": [[3, 3, 3], [3, 3, 3]],
            "strides": [[1, 1, 1], [2, 2, 2]],
            "n_conv_per_stage": [1, 1],
            "n_conv_per_stage_decoder": [1],
            "conv_bias": True,
            "norm_op": None,
            "norm_op_kwargs": None,
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }
    channel_statistics = {
        "max": 300.0,
        "mean": 0.0,
        "median": 0.0,
        "min": -300.0,
        "percentile_00_5": -300.0,
        "percentile_99_5": 300.0,
        "std": 100.0,
    }
    resampling = {
        "resampling_fn_data": "resample_data_or_seg_to_shape",
        "resampling_fn_data_kwargs": {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None},
        "resampling_fn_seg": "resample_data_or_seg_to_shape",
        "resampling_fn_seg_kwargs": {"is_seg": True, "order": 0, "order_z": 0, "force_separate_z": None},
        "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
        "resampling_fn_probabilities_kwargs": {
            "is_seg": False,
            "order": 1,
            "order_z": 0,
            "force_separate_z": None,
        },
    }
    plans = {
        "dataset_name": "Dataset999_Tiny",
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": list(spacing),
        "original_median_shape_after_transp": [64, 64, 64],
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {
            "3d_fullres": {
                "data_identifier": "nnUNetPlans_3d_fullres",
                "preprocessor_name": "DefaultPreprocessor",
                "batch_size": 2,
                "patch_size": [32, 32, 32],
                "median_image_size_in_voxels": [64.0, 64.0, 64.0],
                "spacing": list(spacing),
                "normalization_schemes": ["CTNormalization"],
                "use_mask_for_norm": [False],
                "architecture": architecture,
                "batch_dice": False,
                **resampling,
            }
        },
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": channel_statistics},
    }
    dataset = {
        "channel_names": {"0": channel},
        "labels": {"background": 0, **labels},
        "numTraining": 1,
        "file_ending": ".nii.gz",
        "name": "Tiny",
    }
    (folder / "fold_0").mkdir(parents=True)
    (folder / "plans.json").write_text(json.dumps(plans))
    (folder / "dataset.json").write_text(json.dumps(dataset))
    torch.manual_seed(1)
    network = get_network_from_plans(
        architecture["network_class_name"],
        architecture["arch_kwargs"],
        architecture["_kw_requires_import"],
        1,
        1 + len(labels),
        allow_init=True,
        deep_supervision=False,
    )
    if best:
        _one_label(network, best)
    elif bright:
        _label_by_brightness(network, 1 + len(labels))
    torch.save(
        {
            "network_weights": network.state_dict(),
            "init_args": {"configuration": "3d_fullres"},
            "trainer_name": "nnUNetTrainer",
            "inference_allowed_mirroring_axes": None,
        },
        folder / "fold_0" / "checkpoint_final.pth",
    )
    return folder


def _one_label(network, best):
    """Give one label to what is above 0 HU, and no other label to anything."""
    _label_by_brightness(network, 2)
    state = network.state_dict()
    for key, value in state.items():
        if "seg_layers" in key:
            kept = value[1].clone()
            value[1:] = -1e3 if key.endswith("bias") else 0.0
            value[best] = kept
    network.load_state_dict(state)


def _label_by_brightness(network, n_labels):
    """Pass the scan through unchanged, and give label 1 above 0 HU, label 2 above 150 HU, and so on."""
    import torch

    state = network.state_dict()
    for key, value in state.items():
        value.zero_()
        if not key.endswith("weight") or value.ndim != 5:
            continue
        middle = tuple(n // 2 for n in value.shape[2:])
        if "seg_layers" in key:
            for label in range(n_labels):
                value[(label, 0, *middle)] = float(label)
        elif "decoder" in key and "transp" not in key:
            # The skip connection comes second: channels from half on.
            value[(0, value.shape[1] // 2, *middle)] = 1.0
        elif "encoder.stages.0" in key:
            value[(0, 0, *middle)] = 1.0
    for key, value in state.items():
        if "seg_layers" in key and key.endswith("bias"):
            # Label n scores n b - 0.75 n (n - 1) at a normalised brightness b, and wins from 1.5 (n - 1) on.
            value[:n_labels] = torch.tensor([-0.75 * n * (n - 1) for n in range(n_labels)])
    network.load_state_dict(state)
