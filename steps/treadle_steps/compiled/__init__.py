"""Models as flat arrays: most of a small prediction is scikit-learn's own checking, and this leaves it out.

verdict     who is to serve a model: decided and proved where it is registered
├── build   a fitted model → a form, or NotCompiled with the reason
│   ├── inputs, tables   scalers, imputers, encoders, ColumnTransformer
│   └── linear, trees
└── proof   form and model on real and on adversarial rows
answer      the door of a server: the form where it is sure, else the model itself; needs numpy alone until then
├── forms   a compiled model as data
├── run     a form → what answers; walk: trees
├── differ  how far two answers are apart
└── frame   columns → what the model's own `predict` takes

A form never guesses: where it is not sure (a missing value in a linear model, a category it does not know how to
treat, a number that float32 cannot hold) it answers None and the model itself answers, or refuses.
"""
