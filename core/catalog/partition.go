package catalog

import "github.com/kalamdb/kalamdb/store/kv"

// Partition holds the catalog's records.
const Partition kv.Partition = "catalog"
