"""From decoded images to the branches' views: on the device, inside the step."""
