"""The pages people use: patients on the phone, clinicians at the desk; rendered here, over the guarded store."""
