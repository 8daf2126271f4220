"""Clothes: what people wear and carry, as numbers and names, and the prints on cloth.

garments    what a garment, an accessory and an outfit are
wardrobe    the garments, and the outfits that each person draws from them;
            large_wardrobe makes garments by the hundred
accessories what else belongs to an outfit: hats, masks, bags, an umbrella
prints      the table of prints: repeats all over a garment, motifs in one place, both
            on the coordinates of cloth
"""
