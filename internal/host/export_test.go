package host

// Blocks returns the bytes of some blocks.
var Blocks = blocks
