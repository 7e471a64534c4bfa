"""Train a small network on images of digits, and write it to digits_net.onnx."""

import numpy as np
import torch
from torch import nn

dataset = "runs/digits/dataset"
pixels = np.load(f"{dataset}/x_train.npy") / 16  # of digits, 16 is white
# Channels first
pictures = torch.tensor(pixels, dtype=torch.float32).permute(0, 3, 1, 2)
classes = torch.tensor(np.load(f"{dataset}/y_train.npy"))

torch.manual_seed(0)
model = nn.Sequential(
    nn.Conv2d(1, 4, 3, padding=1, bias=False),
    nn.BatchNorm2d(4),
    nn.ReLU(),
    nn.AvgPool2d(2),
    nn.Conv2d(4, 8, 3),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(32, 10),
)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=0.01)
for _ in range(300):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(pictures), classes)
    loss.backward()
    optimizer.step()

model.eval()
picture = torch.zeros(1, 1, 8, 8)
torch.onnx.export(model, (picture,), "digits_net.onnx", external_data=False)
