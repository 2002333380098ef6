module github.com/kalamdb/kalamdb/commons

go 1.26.0
