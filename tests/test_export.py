"""An exported bundle predicts what its models compute, alone, and refuses what it can't read."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from hipart.config import (
    CodebookConfig,
    DataConfig,
    DensifyConfig,
    EvaluationConfig,
    LifterConfig,
    MlpLifterConfig,
    PipelineConfig,
    PriorConfig,
    TokenizerConfig,
    TransformerLifterConfig,
)
from hipart.data.cameras import normalise_screen, screen_to_pixels
from hipart.experiment.design import Arm, Trial
from hipart.export import export_bundle, of_arm
from hipart.jobs import jobs
from hipart.models.densifier import Densifier
from hipart.models.lifters.build import build_lifter
from hipart.models.prior import Prior
from hipart.models.tokenizer import Tokenizer
from hipart.predicting.files import predict_file
from hipart.predictor import FORMAT, MAX_POSES, Predictor
from hipart.scheduling.plan import make_plan
from hipart.store import ArtifactStore

DATA = "feedbeef"
SIZE = (1000, 1002)
ACTIONS = 3
CODES = CodebookConfig(size=8, dim=4)
TINY = PipelineConfig(
    tokenizer=TokenizerConfig(
        width=8, encoder_blocks=1, token_hidden=8, channel_hidden=8, decoder_width=8,
        decoder_channel_hidden=8, sparse_codebook=CODES, dense_codebook=CODES,
    ),
    prior=PriorConfig(
        width=8, blocks=1, head_blocks=1, attention_width=8, mlp_hidden=8, heads=2,
        order="raster",
    ),
    lifter=LifterConfig(model=TransformerLifterConfig(width=8, blocks=1, heads=2)),
)  # fmt: skip
ABLATION = SimpleNamespace(name="tiny", title="Tiny models", scale="smoke", preset="budget")


def with_lifter(**changes):
    return TINY.model_copy(update={"lifter": TINY.lifter.model_copy(update=changes)})


def trial(config, name="base"):
    return Trial(Arm(name, {}, None, config), 0, config)


def models(config):
    torch.manual_seed(config.lifter.seed)
    tokenizer = Tokenizer(config.tokenizer, ACTIONS).eval()
    prior = Prior(config.prior, *tokenizer.codebooks).eval()
    inputs = 17 if config.lifter.dense_input == "none" else 161
    return {
        "tokenizer": tokenizer,
        "prior": prior,
        "lifter": build_lifter(config.lifter.model, inputs).eval(),
    }


def train(store, config, mpjpe_mm):
    """Leave the artifacts of a trial in the store, with random weights; returns the models."""
    made = models(config)
    for stage, job in jobs(config, DATA).items():
        if job in store:
            continue
        with store.claim(job) as work:
            if stage in made:
                facts = {"num_actions": str(ACTIONS)} if stage == "tokenizer" else {}
                state = {k: v.contiguous() for k, v in made[stage].state_dict().items()}
                save_file(state, work / "model.safetensors", metadata=facts)
            measured = (
                {"mpjpe_mm": mpjpe_mm, "mpjpe_mm/Walk": mpjpe_mm} if stage == "evaluate" else {}
            )
            provenance = {
                "started_at": "2026-01-02T03:04:05+00:00",
                "seconds": 1.0,
                "commit": "abc",
            }
            if stage == "evaluate" and config.evaluation.split != "test":
                provenance["split"] = config.evaluation.split
            store.publish(job, work, measured, provenance)
    return made


def doubled(poses):
    """In screen units and double precision, from pixels in single."""
    pixels = poses.astype(np.float32).astype(np.float64)
    return torch.as_tensor(normalise_screen(pixels, SIZE))


@pytest.fixture
def store(tmp_path):
    store = ArtifactStore(tmp_path / "store")
    store.prepare()
    return store


@pytest.fixture
def poses():
    return np.random.default_rng(0).uniform(0, 1000, (5, 17, 2))


@pytest.fixture
def bundle(store, tmp_path):
    train(store, TINY, 50.0)
    return export_bundle(store, ABLATION, [trial(TINY)], DATA, "mpjpe_mm", tmp_path / "best")


def test_a_bundle_predicts_what_its_models_compute(store, tmp_path, poses):
    made = train(store, TINY, 50.0)
    bundle = export_bundle(store, ABLATION, [trial(TINY)], DATA, "mpjpe_mm", tmp_path / "best")
    found = Predictor.load(bundle).predict(poses, SIZE)
    with torch.inference_mode():
        screen = doubled(poses)
        densifier = Densifier(
            made["prior"].double(),
            made["tokenizer"].double(),
            TINY.data.coordinates,
            TINY.densify.decode,
        )
        generated = densifier(screen)
        seen = torch.cat([screen, *generated.values()], dim=1)
        lifted = made["lifter"].double()(seen) * 1000
    assert (found["pose_3d_mm"] == lifted.float().numpy()).all()
    for name, level in zip(("dense_2d", "fine_2d"), generated.values(), strict=True):
        assert (found[name] == screen_to_pixels(level, SIZE).float().numpy()).all()
    shapes = {name: array.shape for name, array in found.items()}
    assert shapes == {"pose_3d_mm": (5, 17, 3), "dense_2d": (5, 48, 2), "fine_2d": (5, 96, 2)}
    again = Predictor.load(bundle).predict(poses, SIZE)
    assert all((found[name] == again[name]).all() for name in found)


def test_batches_leave_no_seam(bundle, poses):
    predictor = Predictor.load(bundle)
    many = np.tile(poses, (300, 1, 1))
    found = predictor.predict(many, SIZE)["pose_3d_mm"]
    alone = predictor.predict(many[1024:], SIZE)["pose_3d_mm"]
    assert found.shape == (1500, 17, 3)
    assert (found[1024:] == alone).all()


@pytest.mark.parametrize(
    "model", [TransformerLifterConfig(width=8, blocks=1, heads=2), MlpLifterConfig(width=8)]
)
def test_a_lifter_of_17_joints_needs_no_other_stage(store, tmp_path, poses, model):
    config = with_lifter(dense_input="none", model=model)
    made = train(store, config, 50.0)
    bundle = export_bundle(store, ABLATION, [trial(config)], DATA, "mpjpe_mm", tmp_path / "best")
    found = Predictor.load(bundle).predict(poses, SIZE)
    with torch.inference_mode():
        lifted = made["lifter"].double()(doubled(poses)) * 1000
    assert list(found) == ["pose_3d_mm"]
    assert (found["pose_3d_mm"] == lifted.float().numpy()).all()


def test_the_best_finished_trial_that_can_predict_is_taken(store, tmp_path):
    configs = {
        "worse": TINY,
        "better": with_lifter(seed=1),
        "oracle": with_lifter(dense_input="exact"),
        "unfinished": with_lifter(seed=2),
    }
    for (name, config), value in zip(configs.items(), (50.0, 40.0, 10.0), strict=False):
        assert name != "unfinished"
        train(store, config, value)
    trials = [trial(config, name) for name, config in configs.items()]
    out = export_bundle(
        store, ABLATION, trials, DATA, "evaluate/mpjpe_mm/Walk", tmp_path / "a/best"
    )
    lineage = json.loads((out / "lineage.json").read_text())
    assert lineage["arm"] == "better"
    assert lineage["chosen_by"] == {
        "metric": "evaluate/mpjpe_mm/Walk", "value": 40.0, "trials": 2, "of_arm": False,
    }  # fmt: skip
    expected = {stage: job.key for stage, job in jobs(configs["better"], DATA).items()}
    assert {stage: found["key"] for stage, found in lineage["stages"].items()} == expected
    config = json.loads((out / "config.json").read_text())
    assert (config["actions"], config["num_actions"]) == (["Walk"], ACTIONS)
    card = (out / "README.md").read_text()
    assert "simulated detections" in card and "| MPJPE (`evaluate/mpjpe_mm`) | 40.00 mm |" in card


@pytest.mark.parametrize("scale", ["smoke", "laptop"])
def test_a_card_says_where_numbers_mean_nothing(store, tmp_path, scale):
    train(store, TINY, 50.0)
    one = SimpleNamespace(**vars(ABLATION) | {"scale": scale})
    out = export_bundle(store, one, [trial(TINY)], DATA, "mpjpe_mm", tmp_path / "best")
    said = "**Scale smoke tries the machinery in seconds: no number here means anything.**\n"
    assert (said in (out / "README.md").read_text()) == (scale == "smoke")


def test_a_card_shows_names_as_they_are(store, tmp_path):
    train(store, TINY, 10.0)
    odd = SimpleNamespace(**vars(ABLATION) | {"title": "<b>a *b*"})
    out = export_bundle(
        store, odd, [trial(TINY, "x_y_ | <z>")], DATA, "mpjpe_mm", tmp_path / "best"
    )
    card = (out / "README.md").read_text()
    assert r"x\_y\_ \| \<z\>" in card and r"*\<b\>a \*b\** that can predict" in card


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("mpjpe_m", r"by no stage \(did you mean mpjpe_mm\?\); there are"),
        ("mpjpe_mm/Wulk", r"no 'mpjpe_mm/Wulk' in these trials \(did you mean mpjpe_mm/Walk\?\)"),
    ],
)
def test_a_metric_that_is_not_there_names_the_nearest(store, tmp_path, metric, said):
    train(store, TINY, 10.0)
    with pytest.raises(ValueError, match=said):
        export_bundle(store, ABLATION, [trial(TINY)], DATA, metric, tmp_path / "best")


def test_a_card_says_what_was_measured_on_validation(store, tmp_path):
    chosen = {
        "data": DataConfig(validation_samples=8),
        "evaluation": EvaluationConfig(split="validation"),
    }
    cards = []
    for config in (TINY, TINY.model_copy(update=chosen)):
        train(store, config, 50.0)
        out = export_bundle(store, ABLATION, [trial(config)], DATA, "mpjpe_mm", tmp_path / "best")
        cards.append((out / "README.md").read_text())
    assert "validation" not in cards[0]
    assert "| MPJPE, validation split (`evaluate/mpjpe_mm`) | 50.00 mm |" in cards[1]


def test_exact_dense_poses_cannot_be_had_for_a_new_image(store, tmp_path):
    config = with_lifter(dense_input="exact")
    train(store, config, 10.0)
    with pytest.raises(
        ValueError, match="none of the 1 trials can predict: their lifters take exact or"
    ):
        export_bundle(store, ABLATION, [trial(config)], DATA, "mpjpe_mm", tmp_path / "best")


@pytest.mark.parametrize("oracle", [{"exact": "part_means"}, {"samples": 8}])
def test_what_is_exact_or_averaged_in_densify_cannot_be_predicted(store, tmp_path, oracle):
    config = TINY.model_copy(update={"densify": DensifyConfig(**oracle)})
    train(store, config, 10.0)
    with pytest.raises(ValueError, match="something in densify.exact or densify.samples"):
        export_bundle(store, ABLATION, [trial(config)], DATA, "mpjpe_mm", tmp_path / "best")
    train(store, TINY, 50.0)
    out = export_bundle(
        store, ABLATION, [trial(config, "oracle"), trial(TINY, "plain")], DATA, "mpjpe_mm",
        tmp_path / "best",
    )  # fmt: skip
    assert json.loads((out / "lineage.json").read_text())["arm"] == "plain"


@pytest.mark.parametrize(
    ("metric", "message"),
    [("mpjpe", "there are .*evaluate/mpjpe_mm"), ("sparse_usage_pct", "run the experiment")],
)
def test_a_metric_nobody_reports_is_refused(store, tmp_path, metric, message):
    train(store, TINY, 50.0)
    with pytest.raises(ValueError, match=message):
        export_bundle(store, ABLATION, [trial(TINY)], DATA, metric, tmp_path / "best")


def test_a_metric_of_a_stage_that_no_trial_has_is_refused_with_those_they_have(store, tmp_path):
    alone = with_lifter(dense_input="none")
    train(store, alone, 50.0)
    with pytest.raises(ValueError, match="no trial here that can predict has a stage") as refusal:
        export_bundle(
            store, ABLATION, [trial(alone)], DATA, "tokenizer/dense_reconstruction_px",
            tmp_path / "best",
        )  # fmt: skip
    said = str(refusal.value)
    assert "stage tokenizer, so none has tokenizer/dense_reconstruction_px" in said
    assert "ask for one of lifter/train_mpjpe_mm" in said and "evaluate/mpjpe_mm" in said
    assert "run the experiment" not in said and "prior/" not in said


def test_trials_that_are_never_evaluated_are_said_to_be(store, tmp_path):
    train(store, TINY, 50.0)
    one = replace(trial(TINY), targets=("tokenizer",))
    metric = "tokenizer/dense_reconstruction_px"
    with pytest.raises(ValueError, match=r"is ever evaluated.*no metric of stage evaluate"):
        export_bundle(store, ABLATION, [one], DATA, metric, tmp_path / "best")


def test_only_a_bundle_is_replaced(store, tmp_path, bundle):
    (bundle / "stray").touch()
    export_bundle(store, ABLATION, [trial(TINY)], DATA, "mpjpe_mm", bundle)
    assert sorted(p.name for p in bundle.iterdir()) == [
        "README.md", "config.json", "lineage.json", "model.safetensors",
    ]  # fmt: skip
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "chapter.txt").write_text("years of work")
    with pytest.raises(ValueError, match="no bundle of ours"):
        export_bundle(store, ABLATION, [trial(TINY)], DATA, "mpjpe_mm", other)
    assert (other / "chapter.txt").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["best", "store", "thesis"]


def edit(bundle: Path, **changes):
    facts = json.loads((bundle / "config.json").read_text())
    (bundle / "config.json").write_text(json.dumps(facts | changes))


def flip_a_bit(bundle: Path):
    content = bytearray((bundle / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (bundle / "model.safetensors").write_bytes(content)


DAMAGE = {
    "a flipped bit": (flip_a_bit, "damaged or exchanged"),
    "no weights": (lambda b: (b / "model.safetensors").unlink(), "model.safetensors: cannot be"),
    "no config": (lambda b: (b / "config.json").unlink(), "is it a bundle"),
    "not JSON": (lambda b: (b / "config.json").write_text("{"), "not JSON"),
    "another JSON": (lambda b: (b / "config.json").write_text("[]"), "kind must be"),
    "newer format": (
        lambda b: edit(b, format=FORMAT + 1, novelty=1),
        "written by a newer hipart-search",
    ),
    "unknown field": (lambda b: edit(b, novelty=1), "novelty"),
    "another config": (lambda b: edit(b, num_actions=9), "not the weights of config.json"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_bundle_is_refused(bundle, what):
    damage, message = DAMAGE[what]
    damage(bundle)
    with pytest.raises(ValueError, match=message):
        Predictor.load(bundle)


def test_files_in_and_out(bundle, tmp_path, poses):
    np.savez(tmp_path / "in.npz", poses=poses, image_size=np.array(SIZE))
    assert predict_file(bundle, tmp_path / "in.npz", tmp_path / "deep/out.npz") == 5
    expected = Predictor.load(bundle).predict(poses, SIZE)
    with np.load(tmp_path / "deep/out.npz", allow_pickle=False) as found:
        assert set(found) == set(expected)
        assert all((found[name] == expected[name]).all() for name in expected)


POSES = np.zeros((2, 17, 2))
HOLE = np.where(np.arange(68).reshape(2, 17, 2) == 40, np.nan, 0.0)
INPUTS = {
    "two dimensions": ({"poses": POSES[0]}, r"'poses': shape \(17, 2\), allowed \(N, 17, 2\)"),
    "16 joints": ({"poses": POSES[:, 1:]}, r"'poses': shape \(2, 16, 2\)"),
    "three coordinates": ({"poses": np.zeros((2, 17, 3))}, "'poses': shape"),
    "no pose": ({"poses": POSES[:0]}, f"0 poses, allowed 1 to {MAX_POSES}"),
    "NaN": ({"poses": HOLE}, "pose 1 holds nan"),
    "beyond float32": ({"poses": POSES + 1e39}, "pose 0 holds 1e"),
    "complex": ({"poses": POSES + 1j}, "type complex128, allowed real numbers"),
    "text": ({"poses": POSES.astype(str)}, "type <U"),
    "pickled": ({"poses": POSES.astype(object)}, "allow_pickle=False"),
    "another key": ({"pose": POSES}, "no array 'poses'"),
    "no size": ({"image_size": None}, "add --image-size"),
    "one side": ({"image_size": np.array([1000])}, r"'image_size': shape \(1,\), allowed \(2,\)"),
    "no side": ({"image_size": np.array([1000, 0])}, "from 1 to 100000"),
    "NaN side": ({"image_size": np.array([1000, np.nan])}, "from 1 to 100000"),
    "half a pixel": ({"image_size": np.array([1000, 0.5])}, "whole pixels"),
}


@pytest.mark.parametrize("what", INPUTS)
def test_wrong_arrays_are_refused_by_name(bundle, tmp_path, what):
    changes, message = INPUTS[what]
    arrays = {"poses": POSES, "image_size": np.array(SIZE)} | changes
    if "pose" in arrays:
        del arrays["poses"]
    held = {name: array for name, array in arrays.items() if array is not None}
    np.savez(tmp_path / "in.npz", **held)
    with pytest.raises(ValueError, match=message) as refusal:
        predict_file(bundle, tmp_path / "in.npz", tmp_path / "out.npz")
    assert "in.npz" in str(refusal.value)
    assert not (tmp_path / "out.npz").exists()


@pytest.mark.parametrize("content", [None, b"", b"no archive", b"PK\x03\x04 cut"])
def test_what_is_no_npz_is_refused(bundle, tmp_path, content):
    if content is not None:
        (tmp_path / "in.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"in\.npz: (not an \.npz|cannot be read)"):
        predict_file(bundle, tmp_path / "in.npz", tmp_path / "out.npz")


ALONE = """
import sys
BLOCKED = "ray mlflow optuna polars jaxtyping matplotlib rich scipy filelock ruamel".split()
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"{name} is not installed here", name=name)
sys.meta_path.insert(0, Absent())
from pathlib import Path
from hipart.predicting.files import predict_file
print(predict_file(*map(Path, sys.argv[1:])))
"""


def test_prediction_needs_nothing_of_the_platform(bundle, tmp_path, poses):
    np.savez(tmp_path / "in.npz", poses=poses, image_size=np.array(SIZE))
    files = [str(bundle), str(tmp_path / "in.npz"), str(tmp_path / "out.npz")]
    done = subprocess.run(
        [sys.executable, "-c", ALONE, *files],
        cwd=Path(__file__).parents[1], capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "5"
    with np.load(tmp_path / "out.npz") as found:
        assert (
            found["pose_3d_mm"] == Predictor.load(bundle).predict(poses, SIZE)["pose_3d_mm"]
        ).all()


def test_a_damaged_artifact_is_named(store, tmp_path):
    train(store, TINY, 50.0)
    artifact = store.find("lifter", jobs(TINY, DATA)["lifter"].key)
    (artifact.path / "model.safetensors").write_bytes(b"cut")
    damaged = f"{artifact.key}/model.safetensors: cannot be read"
    with pytest.raises(ValueError, match=damaged) as refusal:
        export_bundle(store, ABLATION, [trial(TINY)], DATA, "mpjpe_mm", tmp_path / "best")
    evaluated = store.root / "evaluate" / jobs(TINY, DATA)["evaluate"].key
    assert f"remove the folders {artifact.path} and {evaluated}" in str(refusal.value)
    assert not (tmp_path / "best").exists()


def test_arms_keep_their_order_among_equals(store, tmp_path):
    train(store, TINY, 50.0)
    twin = replace(trial(TINY), seed=1)
    out = export_bundle(store, ABLATION, [trial(TINY), twin], DATA, "mpjpe_mm", tmp_path / "best")
    assert json.loads((out / "lineage.json").read_text())["seed"] == 0


def lose(store, config, *stages):
    for stage in stages:
        shutil.rmtree(store.root / stage / jobs(config, DATA)[stage].key)


def exported(store, trials, tmp_path):
    out = export_bundle(store, ABLATION, trials, DATA, "mpjpe_mm", tmp_path / "best")
    return json.loads((out / "lineage.json").read_text()), (out / "README.md").read_text()


@pytest.fixture
def pair(store):
    """The base and a worse arm of 17 joints, which share no model."""
    alone = with_lifter(dense_input="none")
    train(store, TINY, 40.0)
    train(store, alone, 50.0)
    return [trial(TINY), trial(alone, "17 joints")]


def test_the_best_needs_no_stage_that_no_bundle_holds(store, pair, tmp_path):
    lose(store, TINY, "densify")
    for targets in (("evaluate",), ("densify", "evaluate")):  # also where a table reports it
        trials = [replace(pair[0], targets=targets), pair[1]]
        lineage, _ = exported(store, trials, tmp_path)
        assert (lineage["arm"], "densify" in lineage["stages"]) == ("base", False)


def test_a_lost_model_of_the_best_is_named_with_how_it_is_trained_again(store, pair, tmp_path):
    lose(store, TINY, "prior", "tokenizer")
    with pytest.raises(ValueError, match=r"arm base, seed 0 \(40\)") as refusal:
        exported(store, pair, tmp_path)
    said = str(refusal.value)
    assert "lost its tokenizer and prior" in said and "--arm '17 joints' (50)" in said
    assert not (tmp_path / "best").exists()
    lineage, _ = exported(store, of_arm(pair, "17 joints"), tmp_path)
    assert lineage["arm"] == "17 joints"
    chains = [jobs(one.config, DATA) for one in pair]
    assert make_plan(chains, store).to_train == []
    (folder,) = re.findall(r"remove the folder (\S+),", said)
    shutil.rmtree(folder)
    assert [job.stage for job in make_plan(chains, store).to_train] == [
        "tokenizer", "prior", "evaluate",
    ]  # fmt: skip


def test_a_trial_that_lost_the_stage_of_the_metric_is_not_passed_over(store, pair, tmp_path):
    found = jobs(TINY, DATA)["lifter"]
    shutil.rmtree(store.root / "lifter" / found.key)
    with pytest.raises(ValueError, match="cannot be told: the store has lost lifter of arm base"):
        export_bundle(store, ABLATION, pair, DATA, "lifter/train_mpjpe_mm", tmp_path / "best")


def test_an_arm_is_exported_with_its_best_seed(store, pair, tmp_path):
    second = with_lifter(dense_input="none", seed=1)
    train(store, second, 45.0)
    tried = [*pair, replace(trial(second, "17 joints"), seed=1)]
    lineage, card = exported(store, of_arm(tried, "17 joints"), tmp_path)
    assert (lineage["arm"], lineage["seed"]) == ("17 joints", 1)
    assert "among the 2 finished trials of arm 17 joints of *Tiny models*" in card
    with pytest.raises(ValueError, match=r"unknown arm '17 joint' \(did you mean 17 joints\?\)"):
        of_arm(pair, "17 joint")


def test_a_card_says_what_the_model_is_and_how_it_was_chosen(store, pair, tmp_path):
    _, card = exported(store, pair, tmp_path)
    assert "An independent implementation of" in card and "among the 2 finished trials" in card
    assert "a choice on the test split" in card
    _, card = exported(store, pair[1:], tmp_path)
    assert "no implementation of" in card and "An independent" not in card
    assert (
        "the one finished trial of arm 17 joints of *Tiny models*" in card
        and "a choice on" not in card
    )


def test_a_choice_on_validation_flatters_nothing(store, tmp_path):
    config = TINY.model_copy(
        update={
            "data": DataConfig(validation_samples=8),
            "evaluation": EvaluationConfig(split="validation"),
        }
    )
    train(store, config, 50.0)
    _, card = exported(store, [trial(config), replace(trial(config), seed=1)], tmp_path)
    assert "among the 2 finished trials" in card and "a choice on" not in card
