"""Cameras: where they hang, how they crop a person, and how good their images are.

camera      position, light and image quality of a camera; projection
kinds       the same of varied cameras: places, lights, sensors
sensor      what a varied camera's sensor and encoder make of an image
boxes       the boxes of a detector that is sometimes wrong
"""
