"""Small rivals that speak `POST /buy`: what the product is compared with, never part of it."""
