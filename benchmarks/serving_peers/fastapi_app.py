"""What most people write: rows as pydantic models, a data frame, `predict` in the thread pool."""

import os

import joblib
import pandas as pd
from fastapi import FastAPI
from pydantic import BaseModel

model = joblib.load(os.environ["BENCH_MODEL"])
app = FastAPI()


class Row(BaseModel):
    x0: float
    x1: float
    x2: float
    x3: float
    x4: float
    x5: float
    x6: float
    x7: float
    x8: float
    x9: float


@app.post("/predict")
def predict(rows: list[Row]) -> dict[str, list[float]]:
    frame = pd.DataFrame([row.model_dump() for row in rows])
    return {"predictions": model.predict(frame.to_numpy()).tolist()}
