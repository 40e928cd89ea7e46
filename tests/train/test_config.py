import pytest

from inkbridge.errors import ConfigError
from inkbridge.train.config import from_dict, load_config, setting_names, to_dict
from inkbridge.train.recipes import RECIPES


def test_file_overrides_defaults_and_set_overrides_the_file(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text("seed = 7\nbatch = 3\n[losses]\ncontent_weight = 2\n[data]\ncontent_scale = [0.4, 1]\n")
    config = load_config(file, ["batch=9", "losses.adversarial=hinge", "title=Song landscape"])
    assert (config.seed, config.model.batch, config.title) == (7, 9, "Song landscape")
    assert config.model.losses.content_weight == 2.0
    assert config.model.losses.adversarial == "hinge"
    assert config.data.content_scale == (0.4, 1.0)


def test_a_config_survives_its_plain_form():
    config = load_config(None, ["generator.width=16", "data.mirror=false"])
    assert from_dict(to_dict(config), "test") == config


def test_every_setting_has_one_name():
    for recipe in RECIPES.values():
        names = setting_names(recipe.config_class)
        assert len(names) == len(set(names))
        assert {"batch", "data.crop", "losses.adversarial", "generator.width"} <= set(names)


def test_each_recipe_has_its_own_settings():
    assert load_config(None, ["recipe=multistyle", "encoder.width=8"]).model.encoder.width == 8
    assert load_config(None, ["encoder.width=8"], "multistyle").recipe == "multistyle"
    with pytest.raises(ConfigError, match=r"encoder\.width is not a setting"):
        load_config(None, ["encoder.width=8"])
    with pytest.raises(ConfigError, match=r"one of classic, cut, .* Did you mean cyclegan\?"):
        load_config(None, ["recipe=cyclegam"])
    config = load_config(None, ["losses.style_weight=2"], "multistyle")
    assert from_dict(to_dict(config), "test") == config


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        (
            "losses.contnet_weight=1",
            "losses.contnet_weight is not a setting. Did you mean losses.content_weight",
        ),
        ("lossess.content_weight=1", "Did you mean losses.content_weight"),
        ("bacth=4", "bacth is not a setting. Did you mean batch"),
        ("model.projection=4", "model.projection is not a setting"),
        ("losses=4", "losses is not a setting"),
        ("batch=many", "batch = 'many' cannot be used"),
        ("batch=0", "batch = 0 cannot be used: it must be at least 1"),
        ("data.crop=50", "data.crop = 50 cannot be used: it must be a multiple of 16"),
        ("data.content_scale=[2, 1]", "data.content_scale"),
        ("data.hold_back=1", "data.hold_back"),
        ("precision=float8", "precision = 'float8'"),
        ("recipe=magic", "recipe = 'magic'"),
        ("losses.adversarial=magic", "losses.adversarial = 'magic'"),
        ("losses.adversarial=hinged", "Did you mean hinge?"),
        ("losses.penalty=r3", "losses.penalty = 'r3' cannot be used: it must be one of r1, r1+r2"),
        ("generator.kind=resnet7", "generator.kind = 'resnet7'"),
        ("discriminator.kind=pixels", "Did you mean pixel?"),
        ("optimizer.name=adamz", "optimizer.name = 'adamz'"),
        ("optimizer.schedule=step", "it must be one of constant, linear, cosine"),
        ('augmentations=["cutouts"]', "Did you mean cutout?"),
        ("generator.width=0", "generator.width = 0 cannot be used: it must be at least 1"),
        ("generator.style_dim=0", "generator.style_dim = 0 cannot be used: it must be at least 1"),
        ("losses.content_places=0", "losses.content_places = 0 cannot be used: it must be at least 1"),
        ("projection=0", "projection = 0 cannot be used: it must be at least 1"),
        (
            "generator.num_blocks=-1",
            "generator.num_blocks = -1 cannot be used: it must be a number, 0 or more",
        ),
        (
            "generator.num_blocks=100000",
            "generator.num_blocks = 100000 cannot be used: it must be at most 100",
        ),
        ("losses.memory=-1", "losses.memory = -1 cannot be used: it must be a number, 0 or more"),
        ("optimizer.generator_lr=-1", "optimizer.generator_lr = -1.0 cannot be used"),
        ("optimizer.generator_lr=nan", "optimizer.generator_lr = nan cannot be used"),
        ("checkpoint_seconds=-1", "checkpoint_seconds = -1.0 cannot be used"),
        (
            "optimizer.betas=[1.5, 2]",
            "optimizer.betas = [1.5, 2.0] cannot be used: it must be two numbers, at",
        ),
        ("optimizer.decay_from=2", "optimizer.decay_from = 2.0 cannot be used: it must be from 0 to 1"),
        (
            "discriminator.num_scales=5",
            "discriminator.num_scales = 5 cannot be used with data.crop = 96: at most 3",
        ),
        ("losses.texture_weight=-1", "losses.texture_weight = -1.0 cannot be used: it must be a number, 0"),
        ("losses.redraw_weight=inf", "losses.redraw_weight = inf cannot be used"),
        ("discriminator.side=20", "discriminator.side = 20 cannot be used: it must be a multiple of 16"),
        ("generator.kind=unet256", "data.crop = 96 cannot be used with generator.kind = 'unet256'"),
        ("losses.adversarial=wasserstein", "its discriminator must not grow steep"),
        ("batch", "write it as key=value"),
    ],
)
def test_wrong_settings_are_one_clear_sentence(assignment, message):
    with pytest.raises(ConfigError) as caught:
        load_config(None, [assignment])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unreadable_files_and_unknown_tables_name_the_file(tmp_path):
    file = tmp_path / "run.toml"
    with pytest.raises(ConfigError, match=r"run\.toml cannot be read"):
        load_config(file, [])
    file.write_text("[losses\n")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load_config(file, [])
    file.write_text("[los]\ncontent_weight = 1\n")
    with pytest.raises(
        ConfigError,
        match=r"los\.content_weight is not a setting. Did you mean losses\.content_weight.*run\.toml",
    ):
        load_config(file, [])


def test_one_setting_of_a_table_leaves_the_recipes_other_defaults_alone():
    config = load_config(None, ["generator.width=8", "optimizer.generator_lr=1e-3"], "cyclegan").model
    assert (config.generator.kind, config.generator.width) == ("resnet9", 8)
    assert (config.optimizer.generator_final, config.optimizer.discriminator_lr) == (0.0, 2e-4)


def test_many_styles_need_networks_that_can_learn_them():
    for assignment in ("generator.kind=resnet9", "discriminator.kind=patch"):
        with pytest.raises(ConfigError, match="with recipe multistyle: only"):
            load_config(None, [assignment], "multistyle")


def test_a_size_is_a_default_that_files_and_settings_override(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text("[generator]\nbody = 40\n")
    sizes = load_config(file, ["discriminator.width=9"], size="tiny").model
    assert (sizes.generator.width, sizes.generator.body, sizes.discriminator.width) == (16, 40, 9)
    assert load_config(None, [], size="small") == load_config(None, [])
    published = load_config(None, [], "cyclegan")
    assert load_config(None, [], "cyclegan", "base").model.generator.width == published.model.generator.width
    with pytest.raises(ConfigError, match=r"--size = 'smal' cannot be used.*Did you mean small"):
        load_config(None, [], size="smal")


@pytest.mark.parametrize(
    ("recipe", "batch"), [("cut", 4), ("multistyle", 4), ("fastcut", 1), ("cyclegan", 1)]
)
def test_an_update_of_published_networks_takes_one_picture(recipe, batch):
    assert load_config(None, [], recipe).model.batch == batch
    assert load_config(None, ["batch=3"], recipe).model.batch == 3
