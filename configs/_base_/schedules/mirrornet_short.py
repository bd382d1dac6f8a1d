# The curriculum in fewer epochs, in the paper's proportions: every compared
# recognizer has 120 epochs in the end.
_base_ = ['./mirrornet.py']

short = dict(mask_estimator=40, recognizer=60, image_vae=40, pose_vae=60,
             baseline=60, supervised=30, supervised_long=30,
             semi_supervised=30)
stages = [dict(stage, epochs=short[stage['name']])
          for stage in _base_.stages]
