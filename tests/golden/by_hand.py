"""Links written by hand: what people write, and what goes wrong. "" as a digest stands for the digest of that file."""

CSV, COMMAS, FLOW = "points.csv", "decimal commas.csv", "sine.safetensors"
POINTS = {"csv.name": CSV, "csv.x": "length", "csv.y": "width", "data": "csv"}
DRAWN = "AUxfGoAAMwgYCvH0-TTsMOAp1yDQFMwHzPnQ7Nfg4Nfs0PnMB8wU0CDXKeAw7DT5NAcwFCkgICkUMA"
TWO_COLOURS = (
    "AcVsLvIAOwgOCvH07FfJRbAnpgCw2cm77KkUqTe7UNlaAFAnN0UJCglh9O07ziTCAM7c7cUTxTLcPgAyJAYBB9JY"  # and an eraser
)
NARROW = {"blocks": "2", "width": "8"}

BY_HAND: dict[str, dict[str, str]] = {
    "nothing": {},
    "short forms": {"log_det": "truncated", "learning_rate": "1e-3", "data": "moons", "budget": ".9"},
    "a formula": {"activation": "=sin(2*z)/2 + z/4"},
    "a formula with max": {"activation": "=max(z, 0.1*z)", "data": "rings"},
    "a formula of the bench": {"activations.formula": "softplus(2*z) - z", "activations.view": "inside"},
    "a formula compared": {
        "activations.shown": "sine,relu", "activations.formula": "tanh(z)", "activations.seeds": "3",
    },
    "activations shown": {"activations.shown": "gelu", "activations.raw": "True", "activations.beta": "2.5"},
    "exact traces": {
        "log_det": "roulette", "log_det.exact_traces": "1", "bench.first_exact": "True", "compare.a": "residual",
        "compare.a.log_det": "truncated", "compare.a.log_det.exact_traces": "2",
    },
    "a law typed": {"log_det": "roulette", "log_det.law": "custom", "log_det.law.table": "1 0.5 0.25"},
    "a matrix of fractions": {"bench.matrix": "1/3, 1/6; -1/6 1/3", "bench.fractions": "True"},
    "a matrix of the bench": {"bench.matrix": "0.9 0.3 0.1 -0.2", "bench.law": "poisson", "bench.law.lam": "4.5"},
    "a map": {"stretch.map": "residual", "stretch.point": "-1 2.5", "stretch.forget": "True"},
    "dense blocks": {"branch": "dense", "activation": "clipswish", "hidden_layers": "2", **NARROW},
    "dense blocks compared": {
        "compare.a": "inside", "compare.a.branch": "residual", "compare.b": "inside", "compare.b.activation": "sine",
        "compare.b.hidden_layers": "2", "compare.b.budget": "0.9",
    },
    "orders of norms": {
        "lipschitz.view": "norms", "lipschitz.p": "inf", "lipschitz.q": "1", "lipschitz.matrix": "1 2 3 4",
    },
    "a block beyond its fold": {"lipschitz.block": "3", "lipschitz.scale": "4.5", "lipschitz.method": "newton"},
    "a z": {"lipschitz.chosen": "True", "lipschitz.z": "0.5 -1.25", "lipschitz.view": "inverse"},
    "a weight": {"lipschitz.view": "weights", "lipschitz.block": "2", "lipschitz.weights": "w1.5.2=3 b1.5=0.2 r1.5=2"},
    "what a gradient costs": {"dimensions.view": "memory", "memory.blocks": "4"},
    "few deep blocks": {"lipschitz.view": "budgets", "lipschitz.shapes": "True", "data": "pinwheel"},
    "joint": {
        "data": "noisymoons", "joint.view": "paper", "joint.peer": "nsf", "joint.seeds": "3",
        "joint.weight": "0.5",
    },
    "joint with a peer": {"data": "iris", "joint.family": "maf", "joint.width": "0", **NARROW},
    "joint without classes": {"data": "checkerboard", "joint.view": "one", "joint.width": "8"},
    "own columns": {**POINTS, "csv.digest": "", "seed": "5"},
    "own columns with a label": {**POINTS, "csv.digest": "", "csv.label": "kind", "joint.view": "paper", **NARROW},
    "own columns with commas": {**POINTS, "csv.name": COMMAS, "csv.digest": "", "log_det": "roulette"},
    "own columns that are not there": {**POINTS, "csv.digest": "0123456789ab", "batch": "64"},
    "own columns and no digest": {"data": "csv", "csv.name": CSV, "csv.x": "length"},
    "own columns and a bad digest": {**POINTS, "csv.digest": "XYZ"},
    "columns without a file": {"csv.name": CSV, "csv.x": "length"},
    "a drawing": {"data": "drawing", "drawing": DRAWN, **NARROW},
    "a drawing in two colours": {"data": "drawing", "drawing": TWO_COLOURS, "joint.view": "paper", "seed": "5"},
    "the plane to paint on": {"data": "drawing", "batch": "64"},
    "a drawing that is cut off": {"data": "drawing", "drawing": DRAWN[:-9], "batch": "64"},
    "a drawing that was changed": {"data": "drawing", "drawing": DRAWN[:12] + "A" + DRAWN[13:]},
    "a drawing of one point": {"data": "drawing", "drawing": "AXRGNBkABQABBLGQ"},
    "a drawing beside other data": {"data": "moons", "drawing": DRAWN},
    "a flow": {"flow.name": FLOW, "flow.digest": "", "data": "moons"},
    "a flow that is not there": {"flow.name": "mine.safetensors", "flow.digest": "ba9876543210", **NARROW},
    "a flow and no digest": {"flow.name": "mine.safetensors"},
    "changes": {"changes": "120:learning_rate=0.001,batch=128;300:batch=64"},
    "changes of the estimator": {
        "changes": "50:log_det=truncated,log_det.n_terms=9;80:log_det=roulette,log_det.law=poisson",
    },
    "changes back": {"log_det": "roulette", "changes": "10:log_det=exact;20:log_det=roulette,log_det.n_probes=4"},
    "a change at step 0": {"batch": "64", "changes": "0:batch=32,colour=red;9:batch=16"},
    "changes that change nothing": {"changes": "5:batch=512;7:clip=10.0"},
    "changes in a wrong order": {"changes": "10:batch=9;10:batch=8;x:batch=7;20:batch=6,colour=red;30:batch=6"},
    "changes that are none": {"changes": "soon"},
    "a change beyond its limit": {"changes": "5:batch=0,average=0.5"},
    "a change of the flow": {"changes": "5:blocks=3"},
    "a step of a run": {"at": "40", "by": "torch 2.0.0 AVX2, 1 thread", "view.data": "0 1", **NARROW},
    "no controls": {"controls": ""},
    "one control": {"controls": "blocks", **NARROW},
    "controls of a bench": {"controls": "bench.law bench.throw batch", "bench.probe": "sphere"},
    "controls twice": {"controls": "blocks blocks  lipschitz.z"},
    "controls that are not there": {"controls": "blocks colour bench"},
    "a lesson": {"lesson": "series"},
    "a step of a lesson": {"lesson": "series", "step": "which-way", "lang": "de"},
    "a step with settings": {"lesson": "series", "step": "which-way", "bench.view": "by_hand", "bench.n_terms": "8"},
    "unknown names": {"colour": "red", "bench.colour": "red", "x.y.z": "1", "blocks": "3"},
    "settings of another choice": {"log_det": "exact", "log_det.n_terms": "5", "constraint.steps": "3"},
    "an unknown data set": {"data": "mnist", "seed": "7"},
    "unknown choices": {
        "activation": "swish", "device": "tpu", "log_det": "magic", "norms": "3", "constraint": "tight",
        "branch": "tree",
    },
    "numbers beyond their limits": {
        "blocks": "400", "width": "1", "budget": "1", "learning_rate": "nan", "batch": "1e9",
    },
    "numbers that are none": {"blocks": "2.5", "batch": "many", "actnorm": "maybe", "seed": "-1", "clip": ""},
    "formulas that are none": {"activation": "=z**3", "activations.formula": "import os"},
    "a matrix that is none": {"bench.matrix": "1 2 3", "stretch.matrix": "1 1 1 1", "lipschitz.matrix": "a b c d"},
    "a matrix whose series diverges": {
        "bench.matrix": "2 0 0 2", "bench.law": "custom", "bench.law.table": "0.5 0.9",
    },
    "bench choices that are none": {
        "bench.view": "sideways", "bench.probe": "dice", "activations.view": "x", "compare.view": "x", "compare.a": "x",
        "memory.dim": "3", "joint.peer": "gan", "dimensions.start": "x", "stretch.map": "x", "lipschitz.method": "x",
    },
    "bench numbers beyond their limits": {
        "bench.throw": "0", "compare.seeds": "9", "memory.blocks": "99", "joint.weight": "-1", "dimensions.batch": "1",
        "stretch.side": "9", "lipschitz.scale": "0", "activations.beta": "0", "compare.b.budget": "1.5",
    },
    "strange text": {"x` ![p](http://a/b) `y": "1", "blocks": "`4\n`0", "data": "<b>"},
}  # fmt: skip
