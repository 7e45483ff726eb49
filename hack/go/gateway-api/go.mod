// Where the Gateway API's CustomResourceDefinitions of the local stack come from.
module modelroute.dev/hack/gateway-api

go 1.26.0

require sigs.k8s.io/gateway-api v1.6.3 // indirect
