"""Keys of other trainers' configurations, and where the same thing is said in a recipe.

Of axolotl, LLaMA-Factory, TRL, transformers' TrainingArguments, PEFT, Unsloth, ms-swift and torchtune.
"""

SAME = {
    "base": "base_model model model_name model_name_or_path model_id pretrained_model_name_or_path",
    "base.weights": "load_in_4bit load_in_8bit quantization_bit",
    "method": "stage rl rlhf_type",
    "name": "run_name",
    "output": "output_dir output_path save_path",
    "data.train": "dataset datasets dataset_name train_file train_files dataset_path data_files files",
    "data.train.path": "file",
    "data.train.format": "ds_type",
    "data.train.weight": "interleave_probs probability",
    "data.max_length": (
        "sequence_len cutoff_len max_seq_length max_seq_len model_max_length max_len max_tokens "
        "seq_length block_size max_prompt_length"
    ),
    "data.too_long": "truncation_strategy excess_length_strategy truncation_mode",
    "data.heldout": "val_set_size val_size test_size split_dataset_ratio",
    "data.learn": "mask_history loss_scale",
    "data.ignore": "ignore_keys remove_columns remove_unused_columns",
    "data.on_error": "skip_errors",
    "lora.r": "lora_r lora_rank rank r",
    "lora.alpha": "lora_alpha scaling",
    "lora.dropout": "lora_dropout",
    "lora.rslora": "use_rslora peft_use_rslora",
    "lora.dora": "use_dora peft_use_dora",
    "lora.init": "init_lora_weights peft_init_lora_weights",
    "lora.targets": (
        "lora_target target_modules lora_targets lora_target_modules lora_attn_modules modules "
        "lora_target_linear"
    ),
    "train.lora_plus": "loraplus_lr_ratio lora_plus_lr_ratio loraplus_ratio",
    "train.epochs": "num_train_epochs num_epochs n_epochs epoch",
    "train.steps": "max_steps num_steps iters max_steps_per_epoch",
    "train.batch": "batch_size train_batch_size global_batch_size",
    "train.learning_rate": "lr learning_rate base_lr",
    "train.schedule": "lr_scheduler lr_scheduler_type scheduler",
    "train.warmup": "warmup_ratio",
    "train.optimizer": "optim optimizer_type",
    "train.clip": "max_grad_norm gradient_clipping clip_grad_norm",
    "train.weight_decay": "wd",
    "train.gradient_checkpointing": "use_gradient_checkpointing enable_activation_checkpointing",
    "train.seed": "random_state data_seed",
    "train.evaluation.steps": "eval_steps evals_per_epoch eval_strategy evaluation_strategy",
    "train.evaluation.patience": "early_stopping_patience",
    "train.checkpoints.steps": "save_steps saves_per_epoch save_strategy",
    "train.checkpoints.keep": "save_total_limit",
    "dpo.beta": "pref_beta dpo_beta rl_beta beta",
    "track.wandb": "report_to use_wandb wandb_mode",
    "track.project": "wandb_project",
    "track.tensorboard": "use_tensorboard",
}
"""A recipe's key, and what others call it."""

_NO_NEED = "it needs no key here: "
OTHERWISE = {
    f"{_NO_NEED}the base's own chat format is used, as the server uses it.": (
        "tokenizer template chat_template prompt_template conversation special_tokens"
    ),
    f"{_NO_NEED}every adapter here is a LoRA; its settings stand under `lora`.": (
        "adapter finetuning_type peft_type task_type use_peft train_type tuner_type"
    ),
    "no adapter that trains other parts of the model than LoRA matrices is served by vLLM; remove it.": (
        "bias lora_bias modules_to_save lora_modules_to_save additional_target"
    ),
    f"{_NO_NEED}each record's own keys tell its format; a source's `format` names it.": (
        "type formatting columns field_messages message_property_mappings"
    ),
    "put the system message into the data.": ("default_system"),
    "a source's `weight` says how often it is used.": ("mix_strategy"),
    "say `data.heldout: 0.05` to keep a share aside for the loss while training.": (
        "eval_split eval_dataset test_datasets val_dataset validation_file do_eval"
    ),
    f"{_NO_NEED}rows are shuffled anew in each epoch, by `train.seed`.": ("dataset_shuffle shuffle"),
    f"{_NO_NEED}only answers are learned; `data.learn` selects which, and a message's weight 0 hides one.": (
        "train_on_inputs train_on_prompt mask_prompt roles_to_train assistant_only_loss "
        "completion_only_loss train_on_eos"
    ),
    f"{_NO_NEED}rows are always laid end to end without padding, and no row sees another.": (
        "sample_packing packing neat_packing pad_to_sequence_len padding_free group_by_length "
        "eval_sample_packing"
    ),
    f"{_NO_NEED}rows are made once, and read from disk.": (
        "dataset_num_proc preprocessing_num_workers dataloader_num_workers dataset_processes "
        "dataset_prepared_path overwrite_cache streaming"
    ),
    "here `train.batch` counts the rows of a whole step, however many passes and processes "
    "compute it, and `train.micro_tokens` limits the tokens of a pass.": (
        "per_device_train_batch_size micro_batch_size gradient_accumulation_steps "
        "per_device_eval_batch_size eval_batch_size"
    ),
    "here `train.warmup` is the share of the steps, such as 0.05, over which the rate rises.": (
        "warmup_steps num_warmup_steps"
    ),
    f"{_NO_NEED}with `data.heldout` the adapter of the lowest held-out loss is the one that is written.": (
        "load_best_model_at_end"
    ),
    f"{_NO_NEED}every step is logged, in metrics.jsonl and the report.": (
        "logging_steps log_every_n_steps logging_first_step logging_dir plot_loss"
    ),
    f"{_NO_NEED}the device decides what is computed in, bfloat16 or float32.": (
        "bf16 fp16 tf32 dtype torch_dtype pure_bf16"
    ),
    f"{_NO_NEED}the attention that suits the device is chosen.": (
        "flash_attention flash_attn attn_implementation sdp_attention xformers_attention"
    ),
    f"{_NO_NEED}give `finetune train` the option --processes.": (
        "deepspeed fsdp fsdp_config num_processes ddp_find_unused_parameters"
    ),
    f"{_NO_NEED}the same `finetune train` command goes on with an unfinished run.": (
        "resume_from_checkpoint auto_resume_from_checkpoints"
    ),
    f"{_NO_NEED}nothing is overwritten; --restart begins an unfinished run again.": ("overwrite_output_dir"),
    f"{_NO_NEED}`finetune train` trains.": ("do_train"),
    f"{_NO_NEED}nothing is sent to a hub; `serve push` gives the adapter to a server.": (
        "push_to_hub hub_model_id hub_token save_adapter"
    ),
    f"{_NO_NEED}no code of a model or a data set is run.": ("trust_remote_code"),
    f"{_NO_NEED}`method: dpo` has the sigmoid loss of the paper.": ("pref_loss loss_type"),
    f"{_NO_NEED}the base without its adapter is the reference.": ("ref_model"),
}
"""What to say of other keys."""

ELSEWHERE = {key: here for table in (SAME, OTHERWISE) for here, keys in table.items() for key in keys.split()}
