"""The heavy tests that run on PyTorch alone, and what runs on every backend in their place.

Each of them trains, kills or resumes a small network to test what is done around the training:
files, folders, arguments, signals. None of that knows the backend. On TensorFlow one such training
costs half a minute of processor time, nearly all of it for making the graph, and on JAX as much for
compiling; on PyTorch it costs three seconds. For each file `kept` names what every backend runs: at
least one training, kill or search with its checks.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Heavy:
    """The heavy tests of a file.

    Args:
        reason: What they test that no backend can change.
        kept: Names of the tests that stand for them on every backend.
        tests: Their names; a name with a parameter in brackets is that case alone.
    """

    reason: str
    kept: tuple[str, ...]
    tests: tuple[str, ...]


#: {file under `tests`: its heavy tests}.
FILES = {
    "cli/test_export.py": Heavy(
        "a table of rows that other tests make",
        ("test_what_is_written_is_the_preset",),
        ("test_the_table_of_formats",),
    ),
    "conversion/test_released.py": Heavy(
        "a download, a cache and metadata around a conversion that has tests of its own",
        (
            "test_the_first_load_converts_and_later_ones_need_nothing",
            "test_a_missing_number_of_classes_downloads_nothing",
            "test_without_torch_the_first_load_says_what_to_install",
        ),
        (
            "test_no_network",
            "test_broken_off_and_resumed",
            "test_a_conversion_that_was_stopped_downloads_nothing_again",
            "test_a_changed_cache_is_noticed",
            "test_a_checkpoint_of_another_network",
            "test_a_file_that_is_no_checkpoint",
            "test_two_epochs_from_the_command_line",
            "test_the_public_network_computes_what_the_authors_code_does",
            "test_two_epochs_in_python",
        ),
    ),
    "export/test_export.py": Heavy(
        "networks that are a part of another one that every backend exports",
        (
            "test_each_cell_works_or_is_refused",
            "test_each_network_is_exported[images]",
            "test_each_network_is_exported[two paths]",
        ),
        (
            "test_each_network_is_exported[backbone]",
            "test_each_network_is_exported[frame by frame]",
        ),
    ),
    "cli/test_predict.py": Heavy(
        "what becomes of the results: files, resuming, tables, words",
        (
            "test_videos_of_a_folder_as_json",
            "test_text",
            "test_a_network_on_single_images",
            "test_unreadable_videos_do_not_stop_the_others",
        ),
        (
            "test_warnings_cannot_steer_the_terminal",
            "test_every_odd_thing_is_named_and_stops_nothing",
            "test_the_same_command_resumes",
            "test_the_table",
            "test_results_of_another_kind_are_refused",
            "test_a_preset_that_changed_is_noticed",
            "test_a_full_disk",
            "test_json_and_output",
            "test_a_picture_of_a_resumed_command_has_all",
            "test_killed_and_resumed",
            "test_memory_does_not_grow_with_the_results",
        ),
    ),
    "cli/test_search.py": Heavy(
        "signals and tables of a command that calls the package",
        (
            "test_a_search_ends_with_a_preset_like_any_other",
            "test_the_same_command_again_scores_nothing_anew",
            "test_correlation_of_a_search",
        ),
        ("test_ctrl_c_within_a_comparison", "test_comparison_with_the_searched_network"),
    ),
    "cli/test_train.py": Heavy(
        "arguments, signals, full disks and changed data of a command that calls the package",
        (
            "test_a_run_ends_with_a_preset_of_the_accuracy_it_states",
            "test_the_same_command_again_trains_no_more",
        ),
        (
            "test_adapters_are_trained_resumed_and_merged",
            "test_random_mixing_and_activations_computed_again",
            "test_copies_mixing_and_random_crops",
            "test_a_network_of_images_is_trained_frame_by_frame",
            "test_resumed_with_other_videos",
            "test_videos_that_cannot_be_read",
            "test_a_full_disk_names_the_file_and_the_run_resumes",
            "test_ctrl_c_ends_behind_a_checkpoint_and_the_same_command_goes_on",
            "test_anew",
        ),
    ),
    "models/test_kept_metadata.py": Heavy(
        "metadata and text, by a sum of the weights that is the same on every backend",
        (
            "test_saved_again_a_preset_says_the_same[safetensors]",
            "test_one_changed_weight_is_enough",
            "test_the_snippet_runs_as_printed[MLP3D with a converter]",
        ),
        (
            "test_trained_further_its_metrics_are_gone",
            "test_loaded_as_another_network",
            "test_a_network_of_a_supernet_keeps_the_license",
            "test_presets_of_earlier_versions_state_no_sum",
            *(
                f"test_the_snippet_runs_as_printed[{name}]"
                for name in (
                    *("MLP3D", "MLP3DBackbone", "MLP3DBackbone of one length"),
                    *("TwoPathMLP3D", "FrameCycleMLP"),
                )
            ),
        ),
    ),
    "models/test_saved_weights.py": Heavy(
        "which arrays are in a file, and by which names",
        (
            "test_after_a_training[CycleMLP-h5]",
            "test_after_a_training[CycleMLP-safetensors]",
            "test_both_formats_hold_the_same",
            "test_inner_networks_and_metrics_that_are_compiled",
            "test_every_kind_of_weights[int8]",
            "test_every_way_of_loading[MLP3D, schedule]",
            "test_every_way_of_loading[MLP3D, dtype]",
            "test_every_way_of_loading[CycleMLP, as stored]",
        ),
        (
            *(
                f"test_after_a_training[{name}-{form}]"
                for name in ("MLP3D", "MLP3DBackbone", "TwoPathMLP3D", "FrameCycleMLP")
                for form in ("h5", "safetensors")
            ),
            *(
                f"test_every_way_of_loading[{name}, {way}]"
                for name in ("MLP3DBackbone", "TwoPathMLP3D", "FrameCycleMLP")
                for way in (
                    *("as stored", "classes", "dtype"),
                    *("schedule", "unshared", "candidates"),
                )
                if not (name == "FrameCycleMLP" and way in ("schedule", "unshared", "candidates"))
                if not (name == "MLP3DBackbone" and way in ("classes", "unshared"))
            ),
            *(
                f"test_every_way_of_loading[MLP3D, {way}]"
                for way in ("as stored", "classes", "unshared", "candidates")
            ),
            "test_every_kind_of_weights[int4]",
            "test_every_kind_of_weights[float8]",
            "test_every_kind_of_weights[adapters]",
            "test_every_way_of_loading[CycleMLP, classes]",
            "test_every_way_of_loading[CycleMLP, dtype]",
        ),
    ),
    "models/test_dtype_policies.py": Heavy(
        "files of policies that differ from the others in their name alone",
        (
            "test_round_trips[float32+int8]",
            "test_round_trips[float32+float8]",
            "test_round_trips[mixed_bfloat16]",
            "test_int8_reaches_every_matrix_and_changes_little",
            "test_a_new_head_of_a_quantized_preset_can_be_trained",
        ),
        (
            "test_round_trips[float32]",
            "test_round_trips[float16]",
            "test_round_trips[bfloat16]",
            "test_round_trips[mixed_float16]",
            "test_round_trips[float32+int4]",
            "test_round_trips[mixed_bfloat16+int8]",
            "test_int8_of_every_network",
        ),
    ),
    "models/test_freezing.py": Heavy(
        "names of layers and flags in a configuration",
        (
            "test_a_file_keeps_it_and_the_state_of_the_optimizer",
            "test_a_clone_keeps_class_names_and_converter",
        ),
        ("test_the_configuration_keeps_what_is_frozen", "test_a_clone_is_of_the_same_class"),
    ),
    "models/test_lora.py": Heavy(
        "names of layers, and files that NumPy reads and writes",
        (
            "test_a_new_adapter_changes_nothing_and_a_trained_one_is_its_sum",
            "test_training_moves_adapters_and_head_alone",
            "test_saving_and_merging_keep_the_logits",
        ),
        (
            "test_adapters_and_head_alone_are_trained",
            "test_adapters_in_a_file",
            "test_targets",
            "test_bad_arguments_change_nothing",
            "test_files_of_other_networks",
            "test_files_that_hold_no_adapters",
        ),
    ),
    "search/test_run.py": Heavy(
        "scores in a file, and when they may be used again",
        (
            "test_one_compilation_serves_all_candidates",
            "test_the_estimate_is_the_accuracy_of_the_extracted_network",
            "test_scores_do_not_depend_on_what_was_scored_before",
            "test_a_finished_search_is_only_read",
        ),
        (
            "test_scores_of_other_weights_are_refused_or_set_aside",
            "test_scores_on_other_videos_are_made_again_if_few_changed",
        ),
    ),
    "search/test_trainer.py": Heavy(
        "folders of trainings, and which of them are trained again",
        (
            "test_a_training_leaves_its_accuracy_in_a_folder_of_its_own",
            "test_a_finished_training_is_only_read",
            "test_the_two_dimensional_network",
        ),
        (
            "test_a_finished_training_is_measured_on_the_videos_there_are",
            "test_asked_to_stop_it_ends_behind_a_checkpoint",
            "test_weights_of_the_preset_or_none",
            "test_what_the_recipe_says_of_clips",
        ),
    ),
    "test_notebooks.py": Heavy(
        "text and pictures around calls that other tests make on every backend",
        ("test_notebook_runs[01_quickstart]",),
        ("test_notebook_runs[02_fine_tune]", "test_notebook_runs[03_search]"),
    ),
    "test_examples.py": Heavy(
        "what the documentation says of functions that have tests of their own on every backend",
        ("test_example_of_a_layer_runs",),
        ("test_example_runs",),
    ),
    "test_readme.py": Heavy(
        "an export to ONNX, which needs the backend that the section installs",
        ("test_the_main_job_runs_as_written",),
        ("test_the_export_is_made_as_written",),
    ),
    "training/test_data_change.py": Heavy(
        "how many steps and epochs are left after the list of videos changed",
        ("test_the_optimizer_that_scales_the_loss",),
        (
            "test_refused_it_touches_nothing",
            "test_resumed_between_epochs_the_schedule_goes_by_the_epoch",
            "test_resumed_in_an_epoch_that_epoch_begins_again_with_its_weights",
            "test_a_kill_while_the_checkpoint_is_put_back",
            "test_gradients_that_are_summed_up_keep_their_place",
            "test_a_finished_run_stays_finished",
        ),
    ),
    "training/test_from_recipe.py": Heavy(
        "the seed of random mixing, which a checkpoint holds as it does dropout's",
        ("test_random_mixing_draws_from_every_mixing_that_fits",),
        ("test_random_mixing_is_resumed_where_it_was",),
    ),
    "training/test_run.py": Heavy(
        "which files are there after a kill, a stop, a full disk or another recipe",
        (
            "test_killed_in_an_epoch_it_ends_with_the_same_weights",
            "test_a_run_leaves_what_it_says",
            "test_the_model_ends_with_the_averaged_weights_of_its_best_epoch",
            "test_a_finished_run_is_only_read",
            "test_a_damaged_checkpoint_is_named_and_the_one_before_it_used",
        ),
        (
            "test_adapters_are_trained_and_resumed_as_they_were",
            "test_killed_five_times_it_ends_with_the_same_weights",
            "test_begun_anew_another_run_is_set_aside_whole",
            "test_a_loss_that_is_no_number_stops_and_keeps_the_checkpoint",
            "test_asked_to_stop_it_stops_behind_a_checkpoint_and_goes_on",
            "test_a_full_disk_in_a_run_says_what_the_run_resumes_from",
        ),
    ),
    "training/test_unreadable_videos.py": Heavy(
        "which videos are counted, named and left out",
        ("test_the_metrics_of_several_processes",),
        (
            "test_a_validation_video_that_becomes_unreadable[cut]",
            "test_a_validation_video_that_becomes_unreadable[deleted]",
            "test_a_validation_video_that_becomes_unreadable[emptied]",
            "test_a_validation_video_that_becomes_unreadable[replaced]",
            "test_no_validation_video_is_left",
            "test_training_videos_are_named_too",
            "test_what_is_known_survives_a_kill",
            "test_readable_again",
        ),
    ),
}


def is_heavy(path, name):
    """Whether the test `name` of a file, relative to `tests`, runs on PyTorch alone."""
    heavy = FILES.get(path)
    return heavy is not None and (name in heavy.tests or name.split("[")[0] in heavy.tests)
