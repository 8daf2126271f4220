"""Evaluates a trained run: table, `metrics.json`, pictures and a report.

python eval.py --config configs/synthetic.py [--checkpoint STEP] [--workdir DIR]
"""

from mbnet_jax.commands.eval import main

if __name__ == "__main__":
    main()
