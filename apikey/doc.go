// Package apikey is the API key itself: its secret, its fields and their rules,
// its status, and what it may do to other keys. It is pure: it stores nothing, is
// told the time (but for that in a new id), and knows neither HTTP nor SQL.
package apikey
