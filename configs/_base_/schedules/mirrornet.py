# MirrorNet's curriculum, Section 5.2. Every recognizer that is compared has
# been trained for 200 epochs in the end.
_base_ = ['../default_runtime.py']

# Warns where a generative term is blind; nothing but the joint stages has one.
custom_hooks = _base_.custom_hooks + [dict(type='TermTrust')]

train_cfg = dict(by_epoch=True, max_epochs=50, val_interval=10)
val_cfg = dict()
test_cfg = dict()

# "Adam with a learning rate of 1e-3", no schedule.
optim_wrapper = dict(optimizer=dict(type='Adam', lr=1e-3))
param_scheduler = []

recognizer = dict(
    type='PoseRecognition',
    take=['backbone', 'head', 'data_preprocessor', 'test_cfg'])
joint_parts = dict(backbone='recognizer', head='recognizer',
                   image_vae='image_vae', pose_vae='pose_vae',
                   mask_estimator='mask_estimator')

stages = [
    dict(name='mask_estimator', epochs=100, data='silhouettes',
         model=dict(type='MaskEstimation',
                    take=['mask_estimator', 'data_preprocessor'])),
    dict(name='recognizer', epochs=100, data='labelled', model=recognizer,
         average_last=10),
    dict(name='image_vae', epochs=200, data='labelled_bound',
         model=dict(type='ImageAutoencoding',
                    take=['image_vae', 'mask_estimator',
                          'data_preprocessor']),
         init_from=dict(mask_estimator='mask_estimator')),
    dict(name='pose_vae', epochs=200, data='poses',
         model=dict(type='PoseAutoencoding',
                    take=['pose_vae', 'data_preprocessor'])),
    # The baseline: the recognizer goes on alone.
    dict(name='baseline', epochs=100, data='labelled', model=recognizer,
         load_from_stage='recognizer', average_last=10),
    dict(name='supervised', epochs=50, data='labelled',
         init_from=joint_parts),
    dict(name='supervised_long', epochs=50, data='labelled',
         load_from_stage='supervised', average_last=10),
    dict(name='semi_supervised', epochs=50,
         load_from_stage='supervised', average_last=10),
]
