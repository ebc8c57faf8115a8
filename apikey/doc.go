// Package apikey is the API key itself: its secret, its fields and their rules,
// its status, and what it may do to other keys. It is pure: it stores nothing,
// reads no clock and knows neither HTTP nor SQL.
package apikey
