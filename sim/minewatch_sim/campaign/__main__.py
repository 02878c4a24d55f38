"""python -m minewatch_sim.campaign --seeds A..B --jobs N, or --seed N --mode safety --trace."""

from minewatch_sim.campaign.cli import main

if __name__ == "__main__":
    main()
