module orcacache.dev/hack/kube/pause

go 1.26
