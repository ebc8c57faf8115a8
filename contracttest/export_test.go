package contracttest

// Independent is what the tests ask.
const Independent = independent
