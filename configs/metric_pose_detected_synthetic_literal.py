# The reconstruction of the paper to the letter: hardest negatives, which drive
# the embedding to a point here, and no labels but the annotated ones.
_base_ = ['./metric_pose_detected_synthetic.py']

model = dict(head=dict(loss=dict(form='triplet')))
train_dataloader = dict(dataset=dict(triangulated=False))
