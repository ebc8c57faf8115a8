//go:build full

package handlers_test

const defaultRounds = 50
