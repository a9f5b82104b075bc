"""What people give: arrays, xarray, nibabel and SimpleITK images, read as pixels with axes and spacing."""
