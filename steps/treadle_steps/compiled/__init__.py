"""Models as flat arrays: most of a small prediction is scikit-learn's own checking, and this leaves it out.

answer      the door: what answers for a model, compiled where that was proved, else the model itself
├── build   a fitted model → a program, or NotCompiled with the reason
│   ├── inputs, tables   columns → matrix: numbers, scalers, imputers, encoders, ColumnTransformer
│   └── linear, trees    matrix → predictions
├── frame   columns → what the model's own `predict` takes
└── proof   program and model on real and on adversarial rows

A program never guesses: where it is not sure (a missing value in a linear model, a category it does not know how to
treat, a number that float32 cannot hold) it returns None and the model itself answers, or refuses.
"""
