"""Gradients by the image: ways to ask a network which change of an image hurts it.

Each is a `Slope`: images (B, C, H, W) and a loss in, class scores (B, K) and d(sum of losses)/dx out. A network that
settles offers several, and robustness is what is left after the worst of them; that they agree is shown, not assumed.
"""
