"""What the hospital's network offers: peers by name, sending to them, finding and fetching from them."""
