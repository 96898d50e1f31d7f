"""The places a model can be put: a package goes in, a receipt comes out."""
