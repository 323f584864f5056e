"""Models: which one is in production, which are kept as candidates, and how a run's model is found.

- `run_model`: the models of a project, and a file with the bytes of a run's model.
- `measure`: a model measured again, on the present test data by the present code.
- `gate`: the rules by which a new model replaces the one in production.
- `production`: `models/production`, and how it is changed.
- `model_card`: `model.json`, what the model in production says about itself.
- `candidates`: `models/candidates`, the best models, and `results/artifacts`, what their runs made
  beside them, kept by the stage.

How much of a gain may be chance says the extra `confidence`. What changes models by hand is the
extra `model_manager`; what shows them, `show`.

You may change the gate: `gate.decide` says who may challenge, `gate.beats` what better means. No
model is overwritten or dropped unless its bytes can be brought back, production is never seen half
written, and a model whose bytes are not those that its run recorded is refused.
"""
